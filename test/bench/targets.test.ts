import { expect, test } from "bun:test";
import type { Facts } from "../../bench/machine.ts";
import type { KeptRows } from "../../bench/results.ts";
import { targetsOf, targetsTable } from "../../bench/targets.ts";
import { type CompareRow, compare } from "../../bench/workloads/compare.ts";
import type { Http1Row } from "../../bench/workloads/http1.ts";
import type { LatencyRow } from "../../bench/workloads/latency-report.ts";
import type { ReloadRow } from "../../bench/workloads/reload-report.ts";

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9];

function cost(variant: Http1Row["variant"], round: number, cpuUs: number): Http1Row {
  const load = { requests: 1_000, elapsedUs: 1_000_000, p50Us: 100, p99Us: 200, failed: 0, logShare: null };
  const shared = { case: "small, 64 connections", error: null, rssBytes: 2 ** 20, pssBytes: 2 ** 20 };
  return { ...shared, ...load, variant, round, cpuUs };
}

function delay(variant: LatencyRow["variant"], round: number, p50Us: number): LatencyRow {
  const load = { requests: 10, failed: 0, unanswered: 0, example: null, maxUs: 9e3, lateP99Us: 1 };
  const at = { share: 0.5, requestsPerSecond: 10_000, p90Us: p50Us, p99Us: 2 * p50Us, p999Us: 3 * p50Us };
  return { kind: "latency", variant, round, ...load, ...at, p50Us };
}

function kept(workload: string, rows: readonly object[]): ReadonlyMap<string, KeptRows> {
  return new Map([[workload, { facts: {} as Facts, rows }]]);
}

test("targets compare with each peer in the same round, and with the best of the TypeScript proxies", () => {
  const rows = nine.flatMap((round) => [
    cost("nginx", round, 20_000 * round),
    cost("haproxy", round, 16_000 * round),
    cost("envoy", round, 80_000 * round),
    cost("http-proxy-3", round, 100_000 * round),
    cost("hono proxy()", round, 50_000 * round),
    cost("clearway", round, 20_000 * round),
  ]);
  const table = targetsTable(kept("http1", rows));
  expect(table.notes.filter((note) => note.includes("of haproxy: "))).toHaveLength(1);
  const lines = table.rows.map(([, ...line]) => line.join(" "));
  expect(lines).toEqual([
    "nginx 1.00 1.00..1.00 9 1.05 within",
    "haproxy 1.25 1.25..1.25 9 1 over",
    "envoy 0.25 0.25..0.25 9 0.35 within",
    "hono proxy() 0.40 0.40..0.40 9 0.5 within",
  ]);
});

test("targets are undecided with fewer than nine rounds, and where rounds lie on both sides", () => {
  const rows = (rounds: readonly number[], own: (round: number) => number) =>
    rounds.flatMap((round) => [cost("nginx", round, 20_000), cost("clearway", round, own(round))]);
  const verdict = (given: readonly Http1Row[]) => targetsOf(kept("http1", given))[0]!.verdict;
  expect(verdict(rows(nine.slice(1), () => 19_000))).toBe("undecided");
  expect(verdict(rows(nine, (round) => 17_000 + 1_000 * round))).toBe("undecided");
  expect(verdict(rows(nine, () => 19_000))).toBe("within");
});

test("latency's targets are of the peer with the lowest median, reload's of the same process without", () => {
  const delays = nine.flatMap((round) => [
    delay("direct", round, 10),
    delay("nginx", round, 120),
    delay("haproxy", round, 100),
    delay("clearway", round, 140),
  ]);
  const found = targetsOf(kept("latency", delays)).map(({ of, ratio, verdict }) => [
    of,
    ratio.median,
    verdict,
  ]);
  expect(found).toEqual([
    ["haproxy", 1.4, "over"],
    ["haproxy", 1.4, "within"],
  ]);
  const reload = (phase: ReloadRow["phase"], round: number, p99: number): ReloadRow => ({
    ...{ variant: "clearway", round, phase, reloads: 1, liveMs: { p50: 1, max: 1 }, succeeded: 1, failed: 0 },
    ...{ failures: {}, examples: [], closedByPeer: 0, elapsedMs: 1, latencyMs: { p50: 1, p99, max: 9 } },
  });
  const reloads = nine.flatMap((round) => [reload("steady", round, 2), reload("reloading", round, 2.2)]);
  expect(targetsOf(kept("reload", reloads))[0]).toMatchObject({ limit: 1.25, verdict: "within" });
});

test("compare says faster, slower or undecided, by pairs of rounds", () => {
  const sides = (there: (round: number) => number, rounds = nine): CompareRow[] =>
    rounds.flatMap((round) => [
      { ...cost("clearway", round, 20_000), side: "here", commit: "abc" },
      { ...cost("clearway", round, there(round)), side: "there", commit: "abc" },
    ]);
  const verdict = (rows: CompareRow[]) => compare.report(rows).tables[0]!.rows[0]!.at(-1);
  expect(verdict(sides((round) => 21_000 + round))).toBe("faster");
  expect(verdict(sides((round) => 19_000 - round))).toBe("slower");
  expect(verdict(sides((round) => 15_000 + 1_000 * round))).toBe("undecided");
  expect(verdict(sides(() => 30_000, nine.slice(0, 5)))).toBe("undecided");
});
