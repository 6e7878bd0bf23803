import { expect, test } from "bun:test";
import { type CoordinatorRow, coordinator } from "../../bench/workloads/coordinator.ts";

const row: CoordinatorRow = {
  name: "100 services of 100 instances",
  nodes: 1000,
  instances: 10_000,
  joinedSeconds: 9,
  changes: 300,
  deliveries: 33_000,
  missed: 0,
  p50Ms: 60,
  p99Ms: 1000,
  maxMs: 1200,
  deliveryBytes: 300,
  changeBytes: 33_000,
  joinedRssBytes: 200 * 2 ** 20,
  rssBytes: 300 * 2 ** 20,
  restCpuShare: 0.3,
  restartSeconds: 5,
  restartBytes: 1000,
  refusals: 0,
  broken: 0,
};

test("a coordinator at its limits is no problem, one past each of them is", () => {
  const problems = (change: Partial<CoordinatorRow>) => coordinator.report([{ ...row, ...change }]).problems;
  expect(problems({})).toEqual([]);
  expect(problems({ p99Ms: 1001 })).toEqual([
    "coordinator, 100 services of 100 instances: p99 is over 1000 ms",
  ]);
  expect(problems({ rssBytes: row.rssBytes + 1 })[0]).toContain("RSS is over 300 MiB");
  expect(problems({ deliveryBytes: 301 })[0]).toContain("301 bytes for each node: more than the instance");
  expect(problems({ missed: 1 })[0]).toContain("1 nodes were not told");
  expect(problems({ refusals: 2, broken: 3 })[0]).toContain("2 refusals, 3 broken connections");
});

test("its table says to how many nodes each change went", () => {
  expect(coordinator.report([row]).tables[0]?.rows[0]?.[2]).toBe("300 to 110 nodes");
});
