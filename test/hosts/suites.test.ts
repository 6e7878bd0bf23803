import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../program.ts";
import { notOnDeno, onBunAlone, suites } from "./suites.ts";

test("onBunAlone and notOnDeno name only files that are there", () => {
  const names = [...Object.keys(onBunAlone), ...Object.keys(notOnDeno)];
  expect(names.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("suites are those of the codec, and none that stays elsewhere", () => {
  for (const host of ["Node", "Deno"] as const) {
    expect(suites(host)).toContain("test/runtime/http1/refusals.test.ts");
    expect(suites(host).filter((path) => path in onBunAlone)).toEqual([]);
  }
  expect(suites("Deno").filter((path) => path in notOnDeno)).toEqual([]);
  expect(suites("Node")).toContain("test/runtime/tls/client-certificates.test.ts");
});
