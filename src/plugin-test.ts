/** For tests of filters: `import { testFilter } from "clearway/plugin/test"`. It gives src/testing its parts. */
import type { z } from "zod";
import { untypedFactoryFilter } from "./filters/factory.ts";
import { honoFilters } from "./filters/hono/index.ts";
import { filters as builtIn } from "./filters/index.ts";
import { certificates } from "./host/certificates/node.ts";
import { eventLoopTurn, systemClock } from "./host/clock/node.ts";
import { systemFiles } from "./host/files/node.ts";
import { host } from "./host/index.ts";
import { systemTerminal } from "./host/terminal/node.ts";
import { filterFinder } from "./node/filter-finder.ts";
import { npmFilters } from "./node/npm-filters.ts";
import { UserFilters } from "./node/plugins/user-filters.ts";
import { pluginImports } from "./plugin-imports.ts";
import { ChainTest } from "./testing/filter-test.ts";
import type { FilterTest, TestSetting } from "./testing/nouns.ts";
import type { FilterDefinition } from "./types.ts";

export type {
  FilterBeside,
  FilterTest,
  LogLine,
  ReceivedRequest,
  RouteSetting,
  ServiceCall,
  ServiceFunction,
  ServiceReply,
  TestCaller,
  TestClock,
  TestEndpoint,
  TestRequest,
  TestService,
  TestSetting,
} from "./testing/nouns.ts";

/** What a config may write for this filter. */
export type OptionsOf<Definition extends FilterDefinition> = z.input<Definition["options"]>;

const families = [honoFilters, npmFilters({ modules: host.modules, makeFilter: untypedFactoryFilter })];

const testHost = {
  findFilters: filterFinder({
    builtIn,
    // Real time: packages and files are loaded by the host.
    clock: systemClock,
    families: async () => families,
    userFilters: async () => new UserFilters(await host.userCode(pluginImports)),
  }),
  certificates,
  readFile: systemFiles.read,
  turn: eventLoopTurn,
  print: systemTerminal.error,
};

/**
 * A filter with these options in the chain of a real node: listener, route, balancer and services are there, in memory,
 * and time is the test's own. Throws an Error when the options are wrong, in the words of the config's problems; what
 * is wrong with the setting, or thrown while the filter is created, rejects the first request.
 *
 * ```ts
 * await using filter = testFilter(tenant, { header: "x-tenant" });
 * const response = await filter.request("/orders");
 * expect(filter.received[0]?.headers.get("x-tenant")).toBe("blue");
 * ```
 */
export function testFilter<Definition extends FilterDefinition>(
  filter: Definition,
  options?: OptionsOf<Definition>,
  setting: TestSetting = {},
): FilterTest<OptionsOf<Definition>> {
  return new ChainTest({ definition: filter, options: options ?? {}, setting }, testHost);
}
