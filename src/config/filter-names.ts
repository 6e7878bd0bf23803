/** The names of all filters in a config: they are found before anything is checked, because finding takes time. */
import { directoryOf, joinPath, seenFrom } from "./file-path.ts";
import type { Located } from "./located.ts";

/** What may stand beside the one filter of an entry. */
export const entryKeys: readonly string[] = ["id", "onError"];

const fileName = /^\.{0,2}\//;

export function filterNames(root: Located, mainFile: string): Set<string> {
  const names = new Set<string>();
  const add = (list: Located | null) => addNames(list, mainFile, names);
  for (const listener of valuesIn(under(root, "listeners"))) {
    add(under(listener, "filters"));
    for (const route of valuesIn(under(listener, "routes"))) add(under(route, "filters"));
  }
  return names;
}

function addNames(list: Located | null, mainFile: string, names: Set<string>): void {
  for (const entry of valuesIn(list)) {
    const add = (name: string) => names.add(wholeName(name, entry.range.file.name, mainFile));
    if (entry.kind === "scalar" && typeof entry.value === "string") add(entry.value);
    if (entry.kind !== "map") continue;
    for (const key of entry.entries.keys()) if (!entryKeys.includes(key)) add(key);
  }
}

/**
 * A file is relative to the config file that names it; here it is as if the main one did, so that one file has one name:
 * `./plugins/tenant.ts`. Other names stay as they are.
 */
export function wholeName(name: string, file: string, mainFile: string): string {
  if (!fileName.test(name)) return name;
  return seenFrom(directoryOf(mainFile), joinPath(directoryOf(file), name));
}

function under(node: Located, key: string): Located | null {
  return node.kind === "map" ? (node.entries.get(key)?.node ?? null) : null;
}

function valuesIn(node: Located | null): readonly Located[] {
  if (node?.kind === "list") return node.items;
  return node?.kind === "map" ? [...node.entries.values()].map((entry) => entry.node) : [];
}
