/** What is said of a name that is no filter here. */
import type { FoundFilters } from "../filter-lookup.ts";
import type { NamePlace } from "./filter-names.ts";
import { knownHints, nearest } from "./nearest.ts";
import type { Report } from "./problem.ts";
import { placeName } from "./source.ts";

export interface KnownNames {
  readonly report: Report;
  /** Names that somebody might expect to be filters, and why they are none. */
  readonly refused: FoundFilters["refused"];
  /** Every name that could have been used. */
  readonly known: readonly string[];
}

export function reportUnknown(name: string, at: NamePlace, { report, refused, known }: KnownNames): void {
  const refusal = refused.get(name);
  if (refusal === undefined) {
    const hints = nameHints(name, known);
    report.add(at.range, at.path, { message: `unknown filter "${name}"`, hints });
    return;
  }
  const said = (reason: string) => `cannot use the filter "${name}": ${reason}`;
  const { hints, faults = [] } = refusal;
  const named = `named in ${placeName(at.range)}`;
  for (const { message, place } of faults) {
    const what = { message: said(message), hints: [...hints, named] };
    if (place !== null) report.addPlaced(place, at.path, what);
    else report.add(at.range, at.path, { ...what, hints });
  }
  if (faults.length === 0) report.add(at.range, at.path, { message: said(refusal.refused), hints });
}

/** Somebody may have left out, or put in front, where a filter comes from: `cors` is `hono/cors`. */
function nameHints(name: string, known: readonly string[]): string[] {
  const alike = known.filter((one) => one.includes("/") === name.includes("/"));
  const all = [...alike, ...known];
  const bare = (whole: string) => whole.slice(whole.indexOf("/") + 1);
  const near = nearest(bare(name), all.map(bare));
  return near === null ? knownHints(alike) : [`did you mean \`${all.find((one) => bare(one) === near)}\`?`];
}
