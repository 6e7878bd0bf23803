/** Inside a trial: filters whose code was handed over, not read here. */
import type { FilterTrial } from "../../config/trial.ts";
import type { FindFilters } from "../../filter-lookup.ts";
import type { FilterEntry, Problem, TrialStep, TrialWork } from "../../snapshot.ts";
import type { FilterDefinition } from "../../types.ts";
import { plainProblem } from "../addresses.ts";
import { optionProblems } from "./filters-trial.ts";
import type { GivenFilters, TriedConfig } from "./trial-messages.ts";

export async function tryGiven(
  given: GivenFilters,
  trial: FilterTrial,
  findFilters: FindFilters,
): Promise<TriedConfig> {
  const trying = new GivenTrial(given, trial, findFilters);
  const problems: Problem[] = [];
  for (const entry of given.entries) problems.push(...(await trying.try(entry)));
  return { snapshot: null, document: null, problems, resolved: null, schema: null, foreign: true };
}

class GivenTrial {
  readonly #given: GivenFilters;
  readonly #trial: FilterTrial;
  readonly #findFilters: FindFilters;
  readonly #found = new Map<string, FilterDefinition | string>();

  constructor(given: GivenFilters, trial: FilterTrial, findFilters: FindFilters) {
    this.#given = given;
    this.#trial = trial;
    this.#findFilters = findFilters;
  }

  async try(entry: FilterEntry): Promise<readonly Problem[]> {
    const { name, options, place } = entry;
    const definition = await this.#load(entry);
    const said = (what: string) => [plainProblem(`cannot use the filter "${name}": ${what}`, place)];
    if (typeof definition === "string") return said(definition);
    const parsed = await this.#around("checking", entry, async () => definition.options.safeParse(options));
    const wrong = optionProblems(parsed, entry);
    if (wrong.length > 0) return wrong;
    const fault = await this.#around("creating", entry, async () => this.#trial.create(definition, options));
    return fault === null ? [] : said(`it throws when it is created: ${fault.message}`);
  }

  async #load(entry: FilterEntry): Promise<FilterDefinition | string> {
    const { name } = entry;
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const place = { folder: "", code: { known: this.#given.plugins } };
    const { filters, refused } = await this.#around("loading", entry, () =>
      this.#findFilters(new Set([name]), place),
    );
    const refusal = refused.get(name);
    const why = refusal?.faults?.[0]?.message ?? refusal?.refused ?? "there is no code of that name";
    const found = filters.get(name) ?? why;
    this.#found.set(name, found);
    return found;
  }

  async #around<Result>(work: TrialWork, entry: FilterEntry, run: () => Promise<Result>): Promise<Result> {
    await this.#trial.begin(stepOf(work, entry));
    try {
      return await run();
    } finally {
      await this.#trial.end();
    }
  }
}

function stepOf(work: TrialWork, { name, place: { file, line } }: FilterEntry): TrialStep {
  return { work, name, at: { file, line, column: 1, path: "", excerpt: null } };
}
