import { expect, test } from "bun:test";
import { type TlsRow, tls } from "../../bench/workloads/tls.ts";

function row(variant: TlsRow["variant"], round: number, cpuUs: number, more: Partial<TlsRow> = {}): TlsRow {
  const load = { requests: 1_000, elapsedUs: 1_000_000, bytes: 0, p50Us: 100, p99Us: 200, failed: 0 };
  const memory = { rssBytes: 2 ** 20, pssBytes: 2 ** 20 };
  const shared = { case: "a handshake for each, 16 callers", error: null, agreed: "TLSv1.3 A" };
  return { ...shared, ...load, ...memory, variant, round, cpuUs, ...more };
}

test("tls compares with the nginx of the same round, each work by its own margin", () => {
  const rows = [1, 2, 3].flatMap((round) => [row("nginx", round, 300_000), row("clearway", round, 345_000)]);
  const { tables, problems } = tls.report(rows);
  expect(tables[0]!.rows.map((line) => line.slice(1, 7))).toEqual([
    ["nginx", "1,000", "300", "-", "-", ""],
    ["clearway", "1,000", "345", "1.15", "1.15..1.15", "within 1.2"],
  ]);
  expect(problems).toEqual([]);
  const small = rows.map((each) => ({ ...each, case: "small, kept, 64 connections" }));
  expect(tls.report(small).tables[0]!.rows[1]![6]).toBe("over 1");
});

test("tls reports rows that agreed on different ciphers, that failed, or that did not do the work", () => {
  const { problems } = tls.report([
    row("nginx", 1, 1, { agreed: "TLSv1.3 B" }),
    row("clearway", 1, 1, { failed: 3 }),
    row("clearway", 2, 0, { error: "no answer", agreed: "" }),
  ]);
  expect(problems).toEqual([
    "a handshake for each, 16 callers: clearway: round 1: 3 requests failed of 1000",
    "a handshake for each, 16 callers: clearway: round 2: no answer",
    "the rows cannot be compared: TLSv1.3 B, TLSv1.3 A",
  ]);
});
