import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { honoFilters } from "../../src/filters/hono/index.ts";
import { filters } from "../../src/filters/index.ts";
import type { FilterDefinition } from "../../src/types.ts";

const folder = join(import.meta.dir, "../../src/filters");

/** What stands beside the filters: their lists, and what several of them use. */
const noFilters = ["index", "factory", "left-out", "token", "header-name", "refusal"];

function filesIn(path: string): string[] {
  const names = readdirSync(path).filter((name) => name.endsWith(".ts"));
  return names.map((name) => name.replace(".ts", "")).filter((name) => !noFilters.includes(name));
}

describe("filters", () => {
  test("are all there, each in the file of its name", () => {
    expect([...filters.keys()].sort()).toEqual(filesIn(folder).sort());
    for (const [name, definition] of filters) expect(definition.name).toBe(name);
  });

  test("of Hono are all there, each in the file of its module's name", async () => {
    const modules = honoFilters.names.map((name) => name.replace("hono/", "").replace(/#.*/, ""));
    expect([...new Set(modules)].sort()).toEqual(filesIn(join(folder, "hono")).sort());
    for (const name of honoFilters.names) {
      const found = (await honoFilters.find(name)) as FilterDefinition;
      expect(found.name).toBe(name);
    }
  });

  test("request-id and access-log need no options", () => {
    for (const name of ["request-id", "access-log"]) {
      expect(filters.get(name)!.options.safeParse({}).success).toBe(true);
    }
  });
});
