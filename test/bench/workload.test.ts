import { expect, test } from "bun:test";
import { type BenchOptions, chosenCases, roundsOf } from "../../bench/workload.ts";
import { workloads } from "../../bench/workloads.ts";

function optionsWith(change: Partial<BenchOptions>): BenchOptions {
  const clearway = { command: ["clearway"], description: "", binaryPath: null };
  const none = {
    rounds: null,
    seconds: null,
    only: [],
    peers: new Set<never>(),
    endsAtMs: null,
    compare: null,
  };
  return { ...{ size: "full", clearway, ...none, say: () => {} }, ...change };
}

const wanted = { full: 9, quick: 2 };

test("rounds are as many as the size wants, or as were asked for", () => {
  expect([...roundsOf(optionsWith({}), wanted)]).toHaveLength(9);
  expect([...roundsOf(optionsWith({ size: "quick" }), wanted)]).toEqual([1, 2]);
  expect([...roundsOf(optionsWith({ rounds: 3 }), wanted)]).toEqual([1, 2, 3]);
});

test("no round begins that would end after the time, but the first always runs", () => {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const past = performance.now() - 1_000;
  expect([...roundsOf(optionsWith({ endsAtMs: past, say }), wanted)]).toEqual([1]);
  expect(said).toEqual(["the time is over after 1 of 9 rounds"]);
  // Rounds as long as half of the time: two fit.
  const begun: number[] = [];
  for (const round of roundsOf(optionsWith({ endsAtMs: performance.now() + 100 }), wanted)) {
    begun.push(round);
    for (const end = performance.now() + 45; performance.now() < end; );
  }
  expect(begun.length).toBeLessThanOrEqual(2);
});

test("--only chooses cases by a part of their names, and says which there are when none has it", () => {
  const cases = [
    { name: "small, 64 connections", quick: true },
    { name: "64 KiB down", quick: false },
  ];
  const names = (change: Partial<BenchOptions>) =>
    chosenCases("http1", cases, optionsWith(change)).map(({ name }) => name);
  expect(names({})).toHaveLength(2);
  expect(names({ size: "quick" })).toEqual(["small, 64 connections"]);
  expect(names({ size: "quick", only: ["KiB"] })).toEqual(["64 KiB down"]);
  expect(() => names({ only: ["large"] })).toThrow("there are small, 64 connections; 64 KiB down");
});

test("a quick run of all workloads is planned for less than two minutes", () => {
  const seconds = workloads.map(({ quickSeconds = 0 }) => quickSeconds);
  expect(seconds.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(120);
  expect(new Set(workloads.map(({ name }) => name)).size).toBe(workloads.length);
});
