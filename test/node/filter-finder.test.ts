import { describe, expect, test } from "bun:test";
import type { FilterFamily } from "../../src/filter-lookup.ts";
import type { Modules } from "../../src/machine.ts";
import { filterFinder } from "../../src/node/filter-finder.ts";
import { npmFilters } from "../../src/node/npm-filters.ts";
import type { FilterDefinition } from "../../src/types.ts";
import { inFolder, userFilters } from "../found-filters.ts";
import { VirtualClock } from "../virtual-clock.ts";

const definition = (name: string) => ({ name }) as FilterDefinition;
const builtIn = new Map([["headers", definition("headers")]]);

function family(find: FilterFamily["find"]): FilterFamily {
  return { takes: (name) => name.startsWith("far:"), names: ["far:one"], find };
}

describe("filterFinder", () => {
  test("loads no family while every name is built in", async () => {
    let loaded = 0;
    const families = async () => {
      loaded++;
      return [];
    };
    const find = filterFinder({ builtIn, clock: new VirtualClock(), families, userFilters });
    expect(await find(new Set(["headers"]), inFolder(""))).toMatchObject({
      filters: builtIn,
      known: ["headers"],
    });
    expect(loaded).toBe(0);
  });

  test("asks the family that takes a name, from the config's folder", async () => {
    const asked: string[] = [];
    const one = family(async (name, folder) => {
      asked.push(`${name} from ${folder}`);
      if (name === "far:none") return null;
      return name === "far:no" ? { refused: "not today", hints: [] } : definition(name);
    });
    const find = filterFinder({
      builtIn,
      clock: new VirtualClock(),
      families: async () => [one],
      userFilters,
    });
    const found = await find(new Set(["headers", "far:one", "far:no", "far:none", "near"]), inFolder("etc"));
    expect(asked).toEqual(["far:one from etc", "far:no from etc", "far:none from etc"]);
    expect([...found.filters.keys()]).toEqual(["headers", "far:one"]);
    expect([...found.refused]).toEqual([["far:no", { refused: "not today", hints: [] }]]);
    expect(found.known).toEqual(["headers", "far:one"]);
  });

  test("lists filters in the order in which they were asked for, whichever is loaded first", async () => {
    const first = Promise.withResolvers<void>();
    const one = family(async (name) => {
      if (name === "far:first") await first.promise;
      else first.resolve();
      return definition(name);
    });
    const families = async () => [one];
    const find = filterFinder({ builtIn, clock: new VirtualClock(), families, userFilters });
    const { filters } = await find(new Set(["far:first", "far:second"]), inFolder(""));
    expect([...filters.keys()]).toEqual(["headers", "far:first", "far:second"]);
  });

  test("refuses what throws, what takes longer than 5 s, and the 257th name", async () => {
    const clock = new VirtualClock();
    const slow = family(async (name) => {
      if (name === "far:throws") throw new Error("broken");
      return name === "far:slow" ? new Promise<never>(() => {}) : definition(name);
    });
    const find = filterFinder({ builtIn, clock, families: async () => [slow], userFilters });
    const many = Array.from({ length: 255 }, (_, index) => `far:${index}`);
    const finding = find(new Set(["far:throws", "far:slow", ...many]), inFolder(""));
    await until(() => clock.waiting === 1);
    clock.advance(5000);
    const { refused, filters } = await finding;
    expect(filters.size).toBe(1 + 254);
    expect([...refused].map(([name, { refused: reason }]) => [name, reason])).toEqual([
      ["far:throws", "broken"],
      ["far:slow", "loading it took longer than 5 s"],
      ["far:254", "wanted at most 256 different filters that are not built in"],
    ]);
    expect(clock.waiting).toBe(0);
  });
});

describe("npmFilters", () => {
  const exported: Readonly<Record<string, unknown>> = { default: () => "first", other: () => "second" };
  const modules: Modules = {
    find: (name, folder) => (name === "pack/part" ? `${folder}/${name}.js` : null),
    load: async () => exported,
  };
  const made: [string, unknown][] = [];
  const filters = npmFilters({
    modules,
    makeFilter: (name, factory) => {
      made.push([name, factory()]);
      return definition(name);
    },
  });

  test("makes a filter of the default export, or of the one behind the #", async () => {
    expect(filters.takes("npm:pack/part")).toBe(true);
    expect(filters.takes("hono/cors")).toBe(false);
    expect(await filters.find("npm:pack/part", "/srv")).toMatchObject({ name: "npm:pack/part" });
    await filters.find("npm:pack/part#other", "/srv");
    expect(made).toEqual([
      ["npm:pack/part", "first"],
      ["npm:pack/part#other", "second"],
    ]);
  });

  test("refuses an export that everything has", async () => {
    expect(await filters.find("npm:pack/part#toString", "/srv")).toMatchObject({
      refused: 'pack/part has no export "toString"',
    });
  });
});

/** Until the microtasks that it takes have run. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !holds(); turn++) await null;
}
