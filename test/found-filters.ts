/** How tests find filters: as the program does, or in a list of their own. */
import type { FilterPlace, FindFilters } from "../src/filter-lookup.ts";
import { untypedFactoryFilter } from "../src/filters/factory.ts";
import { honoFilters } from "../src/filters/hono/index.ts";
import { filters as builtIn } from "../src/filters/index.ts";
import { systemClock } from "../src/host/clock/node.ts";
import { host } from "../src/host/index.ts";
import { filterFinder } from "../src/node/filter-finder.ts";
import { npmFilters } from "../src/node/npm-filters.ts";
import { UserFilters } from "../src/node/plugins/user-filters.ts";
import { pluginImports } from "../src/plugin-imports.ts";
import type { FilterRegistry } from "../src/types.ts";

/** A config without files of users' own. */
export const inFolder = (folder: string): FilterPlace => ({ folder, code: { known: [] } });

const pluginHost = host.userCode(pluginImports);
export const userFilters = async () => new UserFilters(await pluginHost);

export const findFilters: FindFilters = filterFinder({
  builtIn,
  clock: systemClock,
  families: async () => [
    honoFilters,
    npmFilters({ modules: host.modules, makeFilter: untypedFactoryFilter }),
  ],
  userFilters,
});

export function onlyFilters(filters: FilterRegistry): FindFilters {
  return async () => ({ filters, refused: new Map(), known: [...filters.keys()], plugins: [] });
}
