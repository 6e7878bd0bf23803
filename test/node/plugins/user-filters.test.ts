import { expect, test } from "bun:test";
import type { PluginCode } from "../../../src/filter-lookup.ts";
import type { UserCode } from "../../../src/machine.ts";
import { UserFilters } from "../../../src/node/plugins/user-filters.ts";
import { defineFilter, z } from "../../../src/plugin.ts";

const plugin = (name: string, version: string): PluginCode => ({
  name,
  version,
  source: { kind: "bundle", text: "", imports: [] },
});

test("UserFilters runs a version once, also when it comes back soon, and lets go of it after four without it", async () => {
  const run: string[] = [];
  const code: UserCode = {
    read: () => Promise.reject(new Error("nothing is read here")),
    async run(_source, version) {
      run.push(version);
      return {
        default: defineFilter({
          name: "own",
          summary: "",
          options: z.null(),
          middleware: () => async () => {},
        }),
      };
    },
  };
  const filters = new UserFilters(code);
  const use = async (...versions: string[]) => {
    filters.next();
    for (const version of versions) {
      const loaded = await filters.run(plugin("./own.ts", version));
      expect("definition" in loaded && loaded.definition).toMatchObject({ name: "./own.ts", version });
    }
  };
  await use("a", "other");
  await use("b", "other");
  await use("a", "other");
  expect(run).toEqual(["a", "other", "b"]);
  for (const version of ["c", "d", "e", "f"]) await use(version);
  await use("a");
  expect(run).toEqual(["a", "other", "b", "c", "d", "e", "f", "a"]);
});

test("UserFilters says what a file throws that is not its own code's place", async () => {
  const code: UserCode = {
    read: () => Promise.reject(new Error("nothing is read here")),
    run: () => Promise.reject(new TypeError("no\n  such thing")),
  };
  const loaded = await new UserFilters(code).run(plugin("./own.ts", "a"));
  expect(loaded).toEqual({
    refusal: {
      refused: "",
      hints: [],
      faults: [{ message: "it throws when it is loaded: TypeError: no such thing", place: null }],
    },
  });
});
