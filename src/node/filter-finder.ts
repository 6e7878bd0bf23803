/** From the names in a config to filters: the program's own, those that a family finds, and users' own files. */
import { isFile, isForeign } from "../config/filter-names.ts";
import type { FilterFamily, FilterPlace, FindFilters, PluginCode, RefusedFilter } from "../filter-lookup.ts";
import type { Clock } from "../machine.ts";
import type { FilterDefinition, FilterRegistry } from "../types.ts";
import type { LoadedFilter, UserFilters } from "./plugins/user-filters.ts";

/** Names of one config that are not the program's own. */
const namesMax = 256;
/** What a package, or a user's file, may do while it loads. */
const loadTimeoutMs = 5000;

export interface FilterSources {
  readonly builtIn: FilterRegistry;
  readonly clock: Clock;
  /** Loaded when a config has a name that is not built in. */
  families(): Promise<readonly FilterFamily[]>;
  /** Loaded when a config names a file. */
  userFilters(): Promise<UserFilters>;
}

export function filterFinder(sources: FilterSources): FindFilters {
  return (names, place) => new Finding(sources, place).find(names);
}

class Finding {
  readonly #sources: FilterSources;
  readonly #place: FilterPlace;
  readonly #found = new Map<string, FilterDefinition>();
  readonly #refused = new Map<string, RefusedFilter>();
  readonly #plugins: PluginCode[] = [];

  constructor(sources: FilterSources, place: FilterPlace) {
    this.#sources = sources;
    this.#place = place;
  }

  async find(names: ReadonlySet<string>): ReturnType<FindFilters> {
    const { builtIn } = this.#sources;
    const all = [...names].filter((name) => !builtIn.has(name));
    const others = all.slice(0, namesMax);
    const families = others.every(isFile) ? [] : await this.#sources.families();
    const ours = others.filter((name) => !isForeign(name));
    const found = await Promise.all(ours.map((name) => this.#findIn(families, name)));
    for (const [index, one] of found.entries()) this.#note(ours[index]!, one);
    if (others.some(isFile)) (await this.#sources.userFilters()).next();
    // One after another: whoever watches knows whose turn it is.
    for (const name of others.filter(isForeign)) {
      if (isFile(name)) await this.#findFile(name);
      else this.#note(name, await this.#around("loading", name, () => this.#findIn(families, name)));
    }
    for (const name of all.slice(namesMax)) this.#refused.set(name, tooMany);
    const known = [...builtIn.keys(), ...families.flatMap((family) => family.names)];
    return { filters: this.#inOrder(others), refused: this.#refused, known, plugins: this.#plugins };
  }

  /** As they were asked for, whichever was found first: a schema made from them is the same each time. */
  #inOrder(names: readonly string[]): FilterRegistry {
    const filters = new Map(this.#sources.builtIn);
    for (const name of names) {
      const found = this.#found.get(name);
      if (found !== undefined) filters.set(name, found);
    }
    return filters;
  }

  async #findIn(families: readonly FilterFamily[], name: string): Promise<Found> {
    const family = families.find((one) => one.takes(name));
    return family === undefined ? null : this.#inTime(family.find(name, this.#place.folder));
  }

  #note(name: string, found: Found): void {
    if (found === null) return;
    if ("refused" in found) this.#refused.set(name, found);
    else this.#found.set(name, found);
  }

  async #findFile(name: string): Promise<void> {
    const loaded = await this.#inTime<LoadedFilter | RefusedFilter>(this.#load(name));
    if ("refused" in loaded) this.#refused.set(name, loaded);
    else if ("refusal" in loaded) this.#refused.set(name, loaded.refusal);
    else {
      this.#found.set(name, loaded.definition);
      this.#plugins.push(loaded.plugin);
    }
  }

  async #load(name: string): Promise<LoadedFilter> {
    const { folder, code } = this.#place;
    const userFilters = await this.#sources.userFilters();
    if ("files" in code) return userFilters.read(name, folder, code);
    const plugin = code.known.find((one) => one.name === name);
    return plugin === undefined ? { refusal: notSent } : userFilters.run(plugin);
  }

  #around(work: "loading", name: string, run: () => Promise<Found>): Promise<Found> {
    const { code } = this.#place;
    return "files" in code ? code.around(work, name, run) : run();
  }

  async #inTime<Found>(finding: Promise<Found>): Promise<Found | RefusedFilter> {
    const late = Promise.withResolvers<RefusedFilter>();
    // Where code is read it is tried, and whoever can end that looks at the time.
    const limited = !("files" in this.#place.code);
    const cancel = limited ? this.#sources.clock.after(loadTimeoutMs, () => late.resolve(tooSlow)) : () => {};
    try {
      return await Promise.race([finding, late.promise]);
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error), hints: [] };
    } finally {
      cancel();
    }
  }
}

type Found = FilterDefinition | RefusedFilter | null;

const tooMany: RefusedFilter = {
  refused: `wanted at most ${namesMax} different filters that are not built in`,
  hints: [],
};
const tooSlow: RefusedFilter = {
  refused: `loading it took longer than ${loadTimeoutMs / 1000} s`,
  hints: [],
};
const notSent: RefusedFilter = { refused: "its code did not come with the configuration", hints: [] };
