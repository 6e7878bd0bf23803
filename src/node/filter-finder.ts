/** From the names in a config to filters: the program's own, and those that a family finds. */
import type { Clock } from "../machine.ts";
import type { FilterDefinition, FilterFamily, FilterRegistry, FindFilters, RefusedFilter } from "../types.ts";

/** Names of one config that are not the program's own. */
const namesMax = 256;
/** What a package may do while it loads. */
const loadTimeoutMs = 5000;

export interface FilterSources {
  readonly builtIn: FilterRegistry;
  readonly clock: Clock;
  /** Loaded when a config has a name that is not built in. */
  families(): Promise<readonly FilterFamily[]>;
}

export function filterFinder(sources: FilterSources): FindFilters {
  const { builtIn, clock } = sources;
  return async (names, folder) => {
    const others = [...names].filter((name) => !builtIn.has(name));
    const families = others.length === 0 ? [] : await sources.families();
    const find = (name: string, index: number): Promise<Found> => {
      const family = families.find((one) => one.takes(name));
      if (family === undefined) return nothing;
      return index < namesMax ? inTime(family.find(name, folder), clock) : Promise.resolve(tooMany);
    };
    const found = await Promise.all(others.map(find));
    const filters = new Map(builtIn);
    const refused = new Map<string, RefusedFilter>();
    for (const [index, one] of found.entries()) {
      if (one === null) continue;
      if ("refused" in one) refused.set(others[index]!, one);
      else filters.set(others[index]!, one);
    }
    return { filters, refused, known: [...builtIn.keys(), ...families.flatMap((family) => family.names)] };
  };
}

const tooMany: RefusedFilter = {
  refused: `wanted at most ${namesMax} different filters that are not built in`,
  hints: [],
};
const nothing = Promise.resolve(null);
const tooSlow: RefusedFilter = { refused: `it was not loaded after ${loadTimeoutMs / 1000} s`, hints: [] };

type Found = FilterDefinition | RefusedFilter | null;

async function inTime(finding: Promise<Found>, clock: Clock): Promise<Found> {
  const late = Promise.withResolvers<Found>();
  const cancel = clock.after(loadTimeoutMs, () => late.resolve(tooSlow));
  try {
    return await Promise.race([finding, late.promise]);
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error), hints: [] };
  } finally {
    cancel();
  }
}
