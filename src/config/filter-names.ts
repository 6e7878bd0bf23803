/** The names of all filters in a config: they are found before anything is checked, because finding takes time. */
import type { Located } from "./located.ts";

/** What may stand beside the one filter of an entry. */
export const entryKeys: readonly string[] = ["id", "onError"];

export function filterNames(root: Located): Set<string> {
  const names = new Set<string>();
  for (const listener of valuesIn(under(root, "listeners"))) {
    addNames(under(listener, "filters"), names);
    for (const route of valuesIn(under(listener, "routes"))) addNames(under(route, "filters"), names);
  }
  return names;
}

function addNames(list: Located | null, names: Set<string>): void {
  for (const entry of valuesIn(list)) {
    if (entry.kind === "scalar" && typeof entry.value === "string") names.add(entry.value);
    if (entry.kind !== "map") continue;
    for (const key of entry.entries.keys()) if (!entryKeys.includes(key)) names.add(key);
  }
}

function under(node: Located, key: string): Located | null {
  return node.kind === "map" ? (node.entries.get(key)?.node ?? null) : null;
}

function valuesIn(node: Located | null): readonly Located[] {
  if (node?.kind === "list") return node.items;
  return node?.kind === "map" ? [...node.entries.values()].map((entry) => entry.node) : [];
}
