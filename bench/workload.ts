/** One thing that is measured: it yields its raw rows, and makes its tables from nothing but those. */
import type { ClearwayProgram } from "./machine.ts";
import type { PeerName } from "./peers.ts";
import type { Table } from "./table.ts";

export interface BenchOptions {
  /** Quick is for every change: fewer rows, shorter rounds. */
  readonly size: "full" | "quick";
  /** Null for the workload's own number. */
  readonly rounds: number | null;
  /** Seconds of one measurement; null for the workload's own. */
  readonly seconds: number | null;
  /** Cases to run; empty for all. */
  readonly only: readonly string[];
  readonly clearway: ClearwayProgram;
  /** Peers that this machine has. */
  readonly peers: ReadonlySet<PeerName>;
  /** On the clock of `performance.now()`: no round begins that would end after it. Null for no end. */
  readonly endsAtMs: number | null;
  /** The revision to compare with; null in every run but that. */
  readonly compare: string | null;
  /** Says what goes on, in one line. */
  readonly say: (line: string) => void;
}

export interface Report {
  readonly tables: readonly Table[];
  /** What makes the run a failed one. */
  readonly problems: readonly string[];
}

export interface Workload<Row extends object> {
  readonly name: string;
  readonly title: string;
  /** Its part of the two minutes of a quick run; without it the workload is left out of that. */
  readonly quickSeconds?: number;
  /** Each row is kept as soon as it is there. */
  run(options: BenchOptions): AsyncGenerator<Row, void, void>;
  report(rows: readonly Row[]): Report;
}

/**
 * The numbers of the rounds, from 1 on: as many as were asked for, or as the workload wants, and fewer when the time is
 * over. The first round always runs.
 */
export function* roundsOf(
  options: BenchOptions,
  wanted: { readonly full: number; readonly quick: number },
): Generator<number, void, void> {
  const { endsAtMs, size, say } = options;
  const rounds = options.rounds ?? wanted[size];
  let longestMs = 0;
  for (let round = 1; round <= rounds; round++) {
    const startedAt = performance.now();
    if (endsAtMs !== null && round > 1 && startedAt + longestMs > endsAtMs) {
      say(`the time is over after ${round - 1} of ${rounds} rounds`);
      return;
    }
    yield round;
    longestMs = Math.max(longestMs, performance.now() - startedAt);
  }
}

/** The cases that `--only` names, else those of the size. Throws an Error when none is left. */
export function chosenCases<Case extends { readonly name: string; readonly quick: boolean }>(
  workload: string,
  cases: readonly Case[],
  { only, size }: BenchOptions,
): readonly Case[] {
  const chosen = cases.filter(({ name, quick }) =>
    only.length > 0 ? only.some((part) => name.includes(part)) : size === "full" || quick,
  );
  if (chosen.length > 0) return chosen;
  const names = cases.map(({ name }) => name).join("; ");
  throw new Error(`no case of ${workload} has "${only}" in its name; there are ${names}`);
}
