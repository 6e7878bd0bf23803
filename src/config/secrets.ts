/**
 * `file:PATH`: the value is what stands in that file, without its last line end. It works where secrets and texts
 * are: anywhere in the options of a filter, and in `respond`. Elsewhere a value has a form of its own, which no text
 * with `file:` in front can be.
 */
import { directoryOf, joinPath } from "./file-path.ts";
import type { WatchedFiles } from "./files.ts";
import { childrenOf, type LocatedScalar, type Part } from "./located.ts";
import type { Report } from "./problem.ts";

const scheme = "file:";
const secretCharactersMax = 64 * 1024;
const secretsMax = 256;
const holders = new Set<string | number>(["filters", "respond"]);

export async function readSecrets(root: Part, files: WatchedFiles, report: Report): Promise<void> {
  const found = new Map<LocatedScalar, Part>();
  collect(root, "outside", found);
  let count = 0;
  for (const [scalar, part] of found) {
    const path = joinPath(directoryOf(scalar.range.file.name), String(scalar.value).slice(scheme.length));
    count += 1;
    const result =
      count > secretsMax
        ? ({ ok: false, reason: `wanted at most ${secretsMax} such files` } as const)
        : await files.read(path, secretCharactersMax);
    scalar.origin = "secret";
    scalar.written = scheme + path;
    if (result.ok) scalar.value = result.value.replace(/\r?\n$/, "");
    else
      report.add(scalar.range, part.path, {
        message: `cannot read ${JSON.stringify(path)}: ${result.reason}`,
      });
  }
}

function collect(part: Part, where: "outside" | "inside", found: Map<LocatedScalar, Part>): void {
  const { node } = part;
  if (node.kind === "scalar") {
    const named = typeof node.value === "string" && node.value.startsWith(scheme);
    if (named && where === "inside") found.set(node, part);
    return;
  }
  for (const [name, child] of childrenOf(part)) {
    collect(child, where === "inside" || holders.has(name) ? "inside" : "outside", found);
  }
}
