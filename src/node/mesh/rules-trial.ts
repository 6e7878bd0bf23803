/** Rules of a mesh document, tried by this node before they hold for its requests. */
import type { PluginCode } from "../../filter-lookup.ts";
import type { FilterEntry, Problem } from "../../snapshot.ts";
import { plainProblem } from "../addresses.ts";
import type { TryFilters } from "../plugins/filters-trial.ts";
import type { KnownRules } from "./mesh-view.ts";

export interface RulesTrialParts {
  /** The service of this node: what runs beside it is tried too. */
  readonly service: string;
  /** Whether code that the mesh document brings is run. */
  readonly plugins: "yes" | "no";
  readonly tryFilters: TryFilters;
}

/** By what was tried, with what was wrong with it; the oldest is forgotten, and tried once more. */
const triedMax = 1_000;

interface Tried {
  readonly service: string;
  readonly key: string;
  readonly entries: readonly FilterEntry[];
  readonly plugins: readonly PluginCode[];
}

export class RulesTrial {
  readonly #parts: RulesTrialParts;
  readonly #known = new Map<string, readonly Problem[]>();

  constructor(parts: RulesTrialParts) {
    this.#parts = parts;
  }

  /** What is wrong, by service; of the others nothing is. */
  async problems(rules: ReadonlyMap<string, KnownRules>): Promise<ReadonlyMap<string, readonly Problem[]>> {
    const all = [...rules].map(([service, known]) => this.#toTry(service, known));
    const fresh = all.filter(({ key }) => !this.#known.has(key));
    // One process for all of them, most often; for each its own where it has to be known whose fault it is.
    const together = fresh.length === 0 ? [] : await this.#try(...fresh);
    for (const one of fresh) {
      const alone = together.length === 0 || fresh.length === 1 ? together : await this.#try(one);
      this.#note(one.key, alone);
    }
    const found = all.map(({ service, key }) => [service, this.#known.get(key) ?? []] as const);
    return new Map(found.filter(([, problems]) => problems.length > 0));
  }

  #toTry(service: string, { service: rules, plugins }: KnownRules): Tried {
    const inbound = service === this.#parts.service ? (rules?.callee?.inbound ?? []) : [];
    const all = [...inbound, ...(rules?.caller.routes ?? []).flatMap(({ filters }) => filters)];
    const entries = [
      ...new Map(all.map((entry) => [JSON.stringify([entry.name, entry.options]), entry])).values(),
    ];
    const versions = plugins.map(({ name, version }) => [name, version]);
    const key = JSON.stringify([service, entries, versions]);
    return { service, key, entries, plugins };
  }

  async #try(...tried: readonly Tried[]): Promise<readonly Problem[]> {
    const plugins = tried.flatMap((one) => one.plugins);
    const [first] = plugins;
    if (first !== undefined && this.#parts.plugins === "no") {
      const message = `the mesh document brings code, ${first.name}, which --no-plugins refuses`;
      const place = tried.flatMap(({ entries }) => entries).find(({ name }) => name === first.name)?.place;
      return [plainProblem(message, place ?? { file: "mesh document", line: 1 })];
    }
    return this.#parts.tryFilters({ entries: tried.flatMap(({ entries }) => entries), plugins });
  }

  #note(key: string, problems: readonly Problem[]): void {
    this.#known.set(key, problems);
    const [oldest] = this.#known.keys();
    if (this.#known.size > triedMax && oldest !== undefined) this.#known.delete(oldest);
  }
}
