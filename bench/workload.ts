/** One thing that is measured: it yields its raw rows, and makes its tables from nothing but those. */
import type { ClearwayProgram } from "./machine.ts";
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
  readonly peers: ReadonlySet<"nginx" | "haproxy">;
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
  /** Each row is kept as soon as it is there. */
  run(options: BenchOptions): AsyncGenerator<Row, void, void>;
  report(rows: readonly Row[]): Report;
}
