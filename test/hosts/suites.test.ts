import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../program.ts";
import { onBunAlone, suites } from "./suites.ts";

test("onBunAlone names only files that are there, and suites none of them", () => {
  const names = Object.keys(onBunAlone);
  expect(names.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  expect(suites().filter((path) => names.includes(path))).toEqual([]);
});

test("suites has the tables of what the codec refuses, forwards and answers", () => {
  expect(suites()).toContain("test/runtime/http1/refusals.test.ts");
  expect(suites()).toContain("test/runtime/http1/forwarding.test.ts");
});
