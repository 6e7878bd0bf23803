import { expect, test } from "bun:test";
import { textTable } from "../../bench/table.ts";
import { type Http1Row, http1 } from "../../bench/workloads/http1.ts";

const base: Omit<Http1Row, "variant" | "round" | "cpuUs"> = {
  case: "small, 64 connections",
  error: null,
  requests: 1_000,
  elapsedUs: 1_000_000,
  p50Us: 100,
  p99Us: 200,
  failed: 0,
  rssBytes: 2 ** 20,
  pssBytes: 2 ** 20,
  logShare: null,
};

function row(variant: Http1Row["variant"], round: number, cpuUs: number): Http1Row {
  return { ...base, variant, round, cpuUs };
}

function cells(rows: readonly Http1Row[], variant: string): readonly string[] {
  return http1.report(rows).tables[0]!.rows.find((each) => each[1] === variant)!;
}

test("http1 compares with the nginx of the same round", () => {
  // Each round of the machine is slower than the one before; the ratio stays.
  const rows = [1, 2, 3].flatMap((round) => [
    row("nginx", round, 20_000 * round),
    row("clearway", round, 24_000 * round),
    row("clearway, 3 filters", round, 36_000 * round),
  ]);
  expect(cells(rows, "clearway").slice(3, 7)).toEqual(["48.0", "1.20", "1.20..1.20", "over 1.05"]);
  expect(cells(rows, "clearway, 3 filters").slice(4, 7)).toEqual(["1.80", "1.80..1.80", "over 1.7"]);
  expect(cells(rows, "nginx").slice(4, 7)).toEqual(["-", "-", ""]);
});

test("http1 says undecided when the rounds straddle the margin", () => {
  const rows = [1, 2, 3].flatMap((round) => [
    row("nginx", round, 20_000),
    row("clearway", round, 19_000 + 1_000 * round),
  ]);
  expect(cells(rows, "clearway")[6]).toBe("undecided 1.05");
});

test("http1 leaves a round out whose check failed, and reports it", () => {
  const wrong: Http1Row = { ...row("clearway", 2, 0), requests: 0, error: "no answer" };
  const rows = [row("nginx", 1, 20_000), row("nginx", 2, 20_000), row("clearway", 1, 30_000), wrong];
  expect(cells(rows, "clearway")[4]).toBe("1.50");
  expect(http1.report(rows).problems).toEqual(["small, 64 connections: clearway: round 2: no answer"]);
  expect(textTable(http1.report(rows).tables[0]!)).not.toContain("NaN");
});

test("http1 reports requests that failed", () => {
  const rows = [{ ...row("clearway", 1, 1), failed: 7 }];
  expect(http1.report(rows).problems).toEqual([
    "small, 64 connections: clearway: round 1: 7 requests failed of 1000",
  ]);
});
