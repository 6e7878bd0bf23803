/** What each filter cost and how often it failed, over the life of the node, by the version of its code. */
import { filterDuration, filterErrors } from "./families.ts";
import type { SeriesTable } from "./series.ts";

export interface FilterTotals {
  /** Its name in the config. */
  readonly filter: string;
  /** Of its code; empty for the program's own. */
  readonly version: string;
  readonly calls: number;
  /** Calls that threw; a refusal is none. */
  readonly errors: number;
  /** Of its own code. One call in many is measured and stands for those after it. */
  readonly totalMs: number;
}

export function filterTotals(table: SeriesTable): FilterTotals[] {
  const totals = new Map<string, FilterTotals>();
  const add = ([filter = "", version = ""]: readonly string[], more: Partial<FilterTotals>): void => {
    const key = JSON.stringify([filter, version]);
    const known = totals.get(key) ?? { filter, version, calls: 0, errors: 0, totalMs: 0 };
    totals.set(key, { ...known, ...more });
  };
  for (const series of table.all) {
    const { name } = series.family;
    if (series.kind === "histogram" && name === filterDuration.name) {
      const { count, sumMs } = series.histogram;
      if (count > 0) add(series.values, { calls: count, totalMs: sumMs });
    } else if (series.kind === "counter" && name === filterErrors.name && series.count > 0) {
      add(series.values, { errors: series.count });
    }
  }
  return [...totals.values()];
}
