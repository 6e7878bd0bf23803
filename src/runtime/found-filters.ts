/** The filters that a snapshot names, found in this worker. */
import type { FindFilters } from "../filter-lookup.ts";
import type { CodeFault } from "../machine.ts";
import type { FilterEntry, Snapshot, SourcePlace } from "../snapshot.ts";
import type { FilterRegistry } from "../types.ts";
import { innerRoutes } from "./inner-routes.ts";

export interface FiltersOfSnapshot {
  readonly filters: FilterRegistry;
  /** Names that are no filters here, each at the first place that has it. */
  readonly problems: readonly { readonly place: SourcePlace; readonly message: string }[];
}

export async function filtersOf(snapshot: Snapshot, find: FindFilters): Promise<FiltersOfSnapshot> {
  const first = new Map<string, FilterEntry>();
  const note = (entry: FilterEntry): void => {
    if (!first.has(entry.name)) first.set(entry.name, entry);
  };
  for (const { filters, routes } of snapshot.listeners) {
    filters.forEach(note);
    for (const route of routes) {
      route.filters.forEach(note);
      for (const inner of innerRoutes(route)) inner.filters.forEach(note);
    }
  }
  const { filters, refused } = await find(new Set(first.keys()), {
    folder: snapshot.folder,
    code: { known: snapshot.plugins },
  });
  const problems = [...refused].flatMap(([name, { refused: reason, faults = [] }]) => {
    const place = first.get(name)?.place;
    const reasons = faults.length === 0 ? [reason] : faults.map(faultText);
    const message = `cannot use the filter "${name}": ${reasons.join("; ")}`;
    return place === undefined ? [] : [{ place, message }];
  });
  return { filters, problems };
}

function faultText({ message, place }: CodeFault): string {
  return place === null ? message : `${message} (${place.file}:${place.line}:${place.column})`;
}
