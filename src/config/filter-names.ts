/** The names of all filters in a config: they are found before anything is checked, because finding takes time. */
import { directoryOf, joinPath, seenFrom } from "./file-path.ts";
import { childOf, childrenOf, type Part } from "./located.ts";
import type { Path } from "./problem.ts";
import type { Range } from "./source.ts";

/** What may stand beside the one filter of an entry. */
export const entryKeys: readonly string[] = ["id", "onError"];

const fileName = /^\.{0,2}\//;

export function isFile(name: string): boolean {
  return fileName.test(name);
}

/** Whether it stands for code that is not the program's own. */
export function isForeign(name: string): boolean {
  return isFile(name) || name.startsWith("npm:");
}

/** Where a name is written. */
export interface NamePlace {
  readonly range: Range;
  /** Of its entry. */
  readonly path: Path;
}

/** Every name, with the first place that has it. */
export type FilterNames = ReadonlyMap<string, NamePlace>;

export function filterNames(root: Part, mainFile: string): FilterNames {
  const names = new Map<string, NamePlace>();
  const add = (list: Part | null) => addNames(list, mainFile, names);
  for (const [, listener] of entriesOf(childOf(root, "listeners"))) {
    add(childOf(listener, "filters"));
    for (const [, route] of entriesOf(childOf(listener, "routes"))) add(childOf(route, "filters"));
  }
  for (const [, service] of entriesOf(childOf(root, "services"))) {
    for (const key of ["inbound", "outbound"]) add(childOf(service, key));
    for (const [, route] of entriesOf(childOf(service, "routes"))) add(childOf(route, "filters"));
  }
  return names;
}

function addNames(list: Part | null, mainFile: string, names: Map<string, NamePlace>): void {
  for (const [, entry] of entriesOf(list)) {
    const { node, path } = entry;
    const add = (written: string, range: Range) => {
      const name = wholeName(written, range.file.name, mainFile);
      if (!names.has(name)) names.set(name, { range, path });
    };
    if (node.kind === "scalar" && typeof node.value === "string") add(node.value, node.range);
    if (node.kind !== "map") continue;
    for (const [key, { key: range }] of node.entries) if (!entryKeys.includes(key)) add(key, range);
  }
}

function entriesOf(part: Part | null): readonly [string, Part][] {
  return part === null ? [] : childrenOf(part);
}

/**
 * A file is relative to the config file that names it; here it is as if the main one did, so that one file has one name:
 * `./plugins/tenant.ts`. Other names stay as they are.
 */
export function wholeName(name: string, file: string, mainFile: string): string {
  if (!isFile(name)) return name;
  return seenFrom(directoryOf(mainFile), joinPath(directoryOf(file), name));
}
