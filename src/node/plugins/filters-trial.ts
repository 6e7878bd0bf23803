/** Filters that came from elsewhere, tried before they serve: what does harm, or cannot be used here, is told. */
import { isForeign } from "../../config/filter-names.ts";
import type { FindFilters } from "../../filter-lookup.ts";
import type { Files } from "../../machine.ts";
import type { FilterEntry, Problem } from "../../snapshot.ts";
import { plainProblem } from "../addresses.ts";
import { recordReads } from "../readings.ts";
import { type TrialParts, tryConfig } from "./trial.ts";
import type { GivenFilters } from "./trial-messages.ts";

export interface FiltersTrialParts extends TrialParts {
  readonly files: Files;
  findFilters(): Promise<FindFilters>;
}

/** Resolves with what is wrong with these filters; never rejects. */
export type TryFilters = (given: GivenFilters) => Promise<readonly Problem[]>;

/** The program's own are looked at here; others are loaded, checked and created in a throw-away process. */
export function filtersTrial(parts: FiltersTrialParts): TryFilters {
  return async ({ entries, plugins }) => {
    if (entries.length === 0) return [];
    const own = entries.filter(({ name }) => !isForeign(name));
    const problems = own.length === 0 ? [] : await ownProblems(own, await parts.findFilters());
    const foreign = entries.filter(({ name }) => isForeign(name));
    const [first] = foreign;
    if (problems.length > 0 || first === undefined) return problems;
    const target = { purpose: "filters", file: first.place.file, version: 0 } as const;
    const given: GivenFilters = { entries: foreign, plugins };
    return (await tryConfig(parts, { ...target, given }, recordReads(parts.files).files)).problems;
  };
}

async function ownProblems(
  entries: readonly FilterEntry[],
  findFilters: FindFilters,
): Promise<readonly Problem[]> {
  const names = new Set(entries.map(({ name }) => name));
  const { filters, refused } = await findFilters(names, { folder: "", code: { known: [] } });
  return entries.flatMap(({ name, options, place }) => {
    const definition = filters.get(name);
    if (definition === undefined) {
      const why = refused.get(name)?.refused ?? "this program has none of that name";
      return [plainProblem(`cannot use the filter "${name}": ${why}`, place)];
    }
    return optionProblems(definition.options.safeParse(options), { name, place });
  });
}

/** What a filter's own schema says of the options that it gets. */
export function optionProblems(
  parsed: { readonly success: boolean; readonly error?: { readonly issues: readonly OptionIssue[] } },
  { name, place }: Pick<FilterEntry, "name" | "place">,
): readonly Problem[] {
  if (parsed.success) return [];
  return (parsed.error?.issues ?? []).map(({ path, message }) => {
    const at = path.length === 0 ? "its options" : path.map(String).join(".");
    return plainProblem(`cannot use the filter "${name}": ${at}: ${message}`, place);
  });
}

interface OptionIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}
