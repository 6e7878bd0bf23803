import { expect, test } from "bun:test";
import { type BalanceRow, balance } from "../../bench/workloads/balance.ts";

function row(variant: BalanceRow["variant"], round: number, p99: number): BalanceRow {
  return {
    round,
    variant,
    slowShare: 0.004,
    failingShare: 0,
    succeeded: 1_000,
    failed: 2,
    failures: { status: 2 },
    examples: ["status: 503"],
    closedByPeer: 0,
    elapsedMs: 2_000,
    latencyMs: { p50: 5, p99, max: 2 * p99 },
  };
}

test("balance compares p99 with that of nginx in the same round", () => {
  const rows = [1, 2, 3].flatMap((round) => [
    row("clearway", round, 7 * round),
    row("nginx", round, 50 * round),
  ]);
  const [table] = balance.report(rows).tables;
  expect(table!.rows).toEqual([
    ["clearway, least-latency", "3,000", "6", "5.00", "14.0", "42.0", "0%", "0%"],
    ["nginx, least_conn", "3,000", "6", "5.00", "100", "300", "0%", "0%"],
  ]);
  expect(table!.notes.at(-1)).toEndWith("0.14 (0.14..0.14), within 0.5");
  expect(balance.report(rows).problems).toEqual([]);
});

test("balance is undecided when the rounds straddle the margin, and fails when nothing was answered", () => {
  const rows = [1, 2, 3].flatMap((round) => [row("clearway", round, 20 * round), row("nginx", round, 80)]);
  expect(balance.report(rows).tables[0]!.notes.at(-1)).toEndWith("undecided 0.5");
  const none = { ...row("clearway", 1, 7), succeeded: 0 };
  expect(balance.report([none]).problems[0]).toContain(
    "round 1, clearway: no request succeeded: status: 503",
  );
});
