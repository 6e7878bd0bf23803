/** Two workers on two cores beside one on one: how much more they do. */
import { checkWork } from "../check.ts";
import { cpuBetween, readCpu } from "../processes.ts";
import { median, pairedRatio, roundsToDecide, type Spread } from "../statistics.ts";
import { figure } from "../table.ts";
import {
  clearwayWorkers,
  makeFolder,
  removeFolder,
  startBackend,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";

/** Of the requests that one worker answers on its core. */
const timesWanted = 1.7;
/** A worker that was less busy was not the limit: then the load or the backend was. */
const busyShareMin = 0.9;
const connections = 64;
const path = "/small";
const counts = [1, 2];

export interface WorkersRow {
  readonly workers: number;
  readonly round: number;
  readonly requests: number;
  readonly failed: number;
  readonly elapsedUs: number;
  /** Of all processes of the node. */
  readonly cpuUs: number;
}

async function* run(options: BenchOptions): AsyncGenerator<WorkersRow, void, void> {
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 9, quick: 3 })) {
      for (const workers of round % 2 === 1 ? counts : counts.toReversed()) {
        options.say(`workers: round ${round}: ${workers}`);
        yield { workers, round, ...(await measure(workers, backend.port, options)) };
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

async function measure(workers: number, backendPort: number, options: BenchOptions) {
  const variant = clearwayWorkers(options.clearway.command, workers);
  const subject = await startSubject(variant, { backendPort, cores: `0-${workers - 1}` });
  try {
    const { pid } = subject.running!;
    const url = `http://127.0.0.1:${subject.port}${path}`;
    await waitForAnswer(`http://127.0.0.1:${subject.adminPort}/readyz`, subject.running);
    await checkWork(variant, subject, { path, uploadBytes: 0 });
    const load = { url, connections, uploadBytes: 0 };
    await runWrk({ ...load, seconds: 1 });
    const before = readCpu(pid);
    const { requests, failed, elapsedUs } = await runWrk({ ...load, seconds: options.seconds ?? 4 });
    return { requests, failed, elapsedUs, cpuUs: cpuBetween(before, readCpu(pid)) };
  } finally {
    await stopSubject(subject);
  }
}

function report(rows: readonly WorkersRow[]): Report {
  const of = (workers: number) => rows.filter((row) => row.workers === workers);
  const byRound = (workers: number) =>
    new Map(of(workers).map((row) => [row.round, row.requests / row.elapsedUs]));
  const ratio = pairedRatio(byRound(2), byRound(1));
  const lines = counts.map((workers) => {
    const middle = (read: (row: WorkersRow) => number) => figure(median(of(workers).map(read)));
    return [
      String(workers),
      middle((row) => (row.requests * 1e6) / row.elapsedUs),
      middle((row) => row.cpuUs / row.requests),
      middle((row) => row.cpuUs / row.elapsedUs),
      ...(workers === 1 || ratio === null ? ["-", "-", ""] : describe(ratio, rows)),
    ];
  });
  const columns = ["workers", "requests/s", "CPU us/request", "cores busy", "of one", "rounds", "verdict"];
  const notes = [
    `small answers on ${connections} connections; each worker has a core, which it shares with the load where the machine has too few`,
    `undecided: the workers were less than ${busyShareMin * 100} % busy, so that the load or the backend was the limit; or rounds on both sides of ${timesWanted}, or fewer than ${roundsToDecide}`,
  ];
  const failed = rows.filter((row) => row.failed > 0);
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  return {
    tables: [{ title: `Two workers, rounds: ${rounds}`, columns, rows: lines, notes }],
    problems: failed.map((row) => `workers: round ${row.round}: ${row.failed} requests failed`),
  };
}

function describe(ratio: Spread, rows: readonly WorkersRow[]): [string, string, string] {
  const range = `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`;
  return [ratio.median.toFixed(2), range, `${verdictOf(ratio, rows)} ${timesWanted}`];
}

function verdictOf(ratio: Spread, rows: readonly WorkersRow[]): "at least" | "under" | "undecided" {
  const idle = rows.some((row) => row.cpuUs / row.elapsedUs < busyShareMin * row.workers);
  if (idle || ratio.rounds < roundsToDecide) return "undecided";
  if (ratio.min >= timesWanted) return "at least";
  return ratio.max < timesWanted ? "under" : "undecided";
}

export const workers: Workload<WorkersRow> = {
  name: "workers",
  title: "two workers on two cores",
  run,
  report,
};
