import { expect, test } from "bun:test";
import { ErrorWatch, trialMs } from "../../../src/node/guard/error-watch.ts";
import type { ServingPlugin } from "../../../src/node/guard/plugin-versions.ts";
import { serving } from "./fake-plugins.ts";

type Counts = readonly [calls: number, errors: number];

function totals(version: string, [calls, errors]: Counts) {
  return { filter: "./tenant.ts", version, calls, errors, totalMs: 0 };
}

/** A second each: what b, saved after a, had counted until then. */
function look(
  before: Counts,
  seconds: readonly Counts[],
  plugin: ServingPlugin = serving("b"),
): (string | null)[] {
  const watch = new ErrorWatch();
  return seconds.map((counts, second) => {
    const all = [totals("a", before), totals("b", counts)];
    return watch.check([plugin], all, (second + 1) * 1000)[0]?.why ?? null;
  });
}

test("ErrorWatch sees a jump at 20 calls of which 5 % threw, and none at 19", () => {
  expect(look([1000, 0], [[19, 19]])).toEqual([null]);
  const why = "1 of 20 calls threw within 60 s, of the version before 0 of 1000";
  expect(
    look(
      [1000, 0],
      [
        [10, 0],
        [20, 1],
      ],
    ),
  ).toEqual([null, why]);
});

test("ErrorWatch sees none below 5 %, nor below five times the share of the version before", () => {
  expect(look([1000, 0], [[21, 1]])).toEqual([null]);
  expect(look([100, 2], [[100, 9]])).toEqual([null]);
  expect(look([100, 2], [[100, 10]])[0]).toContain("10 of 100 calls threw");
});

test("ErrorWatch counts the calls of the last minute alone", () => {
  const quiet = Array.from({ length: 60 }, (): Counts => [1000, 10]);
  expect(look([1000, 0], [[1000, 10], ...quiet, [1010, 20], [1020, 29]])).toEqual([
    null,
    ...quiet.map(() => null),
    null,
    "19 of 20 calls threw within 60 s, of the version before 0 of 1000",
  ]);
});

test("ErrorWatch does not count what the same version did before it came back", () => {
  const watch = new ErrorWatch();
  const counted = [totals("a", [100, 0]), totals("b", [100, 50])];
  expect(watch.check([], counted, 1000)).toEqual([]);
  expect(watch.check([serving("b")], counted, 2000)).toEqual([]);
});

test("ErrorWatch leaves alone what never changed, has no version before it, or did well for an hour", () => {
  const failing: Counts[] = [[100, 100]];
  expect(look([1, 0], failing, serving("b", { changed: "no" }))).toEqual([null]);
  expect(look([1, 0], failing, serving("b", { former: null }))).toEqual([null]);
  expect(look([1, 0], failing, serving("b", { sinceMs: 1000 - trialMs }))).toEqual([null]);
  expect(look([1, 0], failing, serving("b", { sinceMs: 1001 - trialMs }))).not.toEqual([null]);
});
