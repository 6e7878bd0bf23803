/**
 * `file:PATH`: the value is what stands in that file, without its last line end. It works where secrets and texts
 * are: anywhere in the options of a filter, and in `respond`. Elsewhere a value has a form of its own, which no text
 * with `file:` in front can be.
 */
import { directoryOf, joinPath } from "./file-path.ts";
import type { WatchedFiles } from "./files.ts";
import type { Located, LocatedGap, LocatedScalar, Part } from "./located.ts";
import type { Path, Report } from "./problem.ts";

const scheme = "file:";
const secretCharactersMax = 64 * 1024;
const secretsMax = 256;
const holders = new Set(["filters", "respond", "inbound", "outbound", "retry", "mirror", "fault"]);

export async function readSecrets(root: Part, files: WatchedFiles, report: Report): Promise<void> {
  const found = new Map<LocatedScalar, Path>();
  collect(root.node, "outside", { path: [...root.path], found });
  let count = 0;
  for (const [scalar, place] of found) {
    const path = joinPath(directoryOf(scalar.range.file.name), String(scalar.value).slice(scheme.length));
    count += 1;
    const result =
      count > secretsMax
        ? ({ ok: false, reason: `wanted at most ${secretsMax} such files` } as const)
        : await files.read(path, secretCharactersMax);
    scalar.origin = "secret";
    scalar.written = scheme + path;
    if (result.ok) {
      scalar.value = result.value.replace(/\r?\n$/, "");
      continue;
    }
    report.add(scalar.range, place, { message: `cannot read ${JSON.stringify(path)}: ${result.reason}` });
    // Whatever else its text would be wrong for: that was not meant.
    Object.assign(scalar, { kind: "gap" } satisfies Pick<LocatedGap, "kind">);
  }
}

interface Walk {
  /** Of the node that is looked at; copied for what is found alone: there are many nodes, and few secrets. */
  readonly path: (string | number)[];
  readonly found: Map<LocatedScalar, Path>;
}

function collect(node: Located, where: "outside" | "inside", walk: Walk): void {
  if (node.kind === "scalar") {
    const named = typeof node.value === "string" && node.value.startsWith(scheme);
    if (named && where === "inside") walk.found.set(node, [...walk.path]);
  } else if (node.kind === "list") {
    for (const [index, item] of node.items.entries()) step(index, item, { where, walk });
  } else if (node.kind === "map") {
    for (const [name, entry] of node.entries) {
      step(name, entry.node, { where: holders.has(name) ? "inside" : where, walk });
    }
  }
}

function step(
  name: string | number,
  node: Located,
  { where, walk }: { readonly where: "outside" | "inside"; readonly walk: Walk },
): void {
  walk.path.push(name);
  collect(node, where, walk);
  walk.path.pop();
}
