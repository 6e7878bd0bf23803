import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { filters } from "../../src/filters/index.ts";

const folder = join(import.meta.dir, "../../src/filters");

describe("filters", () => {
  test("are all there, each in the file of its name", () => {
    const files = readdirSync(folder).map((name) => name.replace(".ts", ""));
    expect([...filters.keys()].sort()).toEqual(files.filter((name) => name !== "index").sort());
    for (const [name, definition] of filters) expect(definition.name).toBe(name);
  });

  test("request-id and access-log need no options", () => {
    for (const name of ["request-id", "access-log"]) {
      expect(filters.get(name)!.options.safeParse({}).success).toBe(true);
    }
  });
});
