import { expect, test } from "bun:test";
import type { KillRow } from "../../bench/kills.ts";
import { kill } from "../../bench/workloads/kill.ts";
import { type WorkersRow, workers } from "../../bench/workloads/workers.ts";

/** In one second; `busy` is the share of a worker's core. */
function row(count: number, round: number, requests: number, busy = 1): WorkersRow {
  const elapsedUs = 1_000_000;
  return { workers: count, round, requests, failed: 0, elapsedUs, cpuUs: elapsedUs * count * busy };
}

function verdict(rows: readonly WorkersRow[]): string | undefined {
  return workers.report(rows).tables[0]!.rows[1]!.at(-1);
}

test("workers compares two with one in the same round", () => {
  const rows = [1, 2, 3].flatMap((round) => [row(1, round, 1000 * round), row(2, round, 1800 * round)]);
  expect(workers.report(rows).tables[0]!.rows[1]!.slice(4)).toEqual(["1.80", "1.80..1.80", "at least 1.7"]);
  expect(verdict(rows.map((each) => (each.workers === 2 ? { ...each, requests: 1001 } : each)))).toBe(
    "under 1.7",
  );
});

test("workers says undecided where rounds straddle the margin, are too few, or the workers were not the limit", () => {
  const straddling = [1, 2, 3].flatMap((round) => [row(1, round, 1000), row(2, round, 1500 + 100 * round)]);
  expect(verdict(straddling)).toBe("undecided 1.7");
  expect(verdict([row(1, 1, 1000), row(2, 1, 1900)])).toBe("undecided 1.7");
  const idle = [1, 2, 3].flatMap((round) => [row(1, round, 1000), row(2, round, 1900, 0.8)]);
  expect(verdict(idle)).toBe("undecided 1.7");
});

test("kill sums what was lost, and takes a connection of another worker for a problem", () => {
  const base: KillRow = {
    worker: 1,
    connections: 16,
    failed: 15,
    idle: 1,
    waiting: 0,
    foreign: 0,
    replacedMs: 200,
    succeeded: 1000,
  };
  const right = kill.report([base, { ...base, worker: 2, failed: 16, idle: 0, replacedMs: 300 }]);
  expect(right.tables[0]!.rows[0]).toEqual([
    "2",
    "2,000",
    "32",
    "31",
    "1",
    "0",
    "0",
    "15.5",
    "16.0",
    "250",
    "300",
  ]);
  expect(right.problems).toEqual([]);
  expect(kill.report([{ ...base, foreign: 2 }]).problems).toEqual([
    "kill: worker 1 took 2 connections of others with it",
  ]);
});
