/** A worker of four killed every second under load: which requests that costs, and whose. */
import { type KillRow, killWorkers } from "../kills.ts";
import { median } from "../statistics.ts";
import { figure } from "../table.ts";
import {
  clearwayWorkers,
  makeFolder,
  removeFolder,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import type { BenchOptions, Report, Workload } from "../workload.ts";

const workers = 4;
const connections = 64;
const periodMs = 1000;
const killsWanted = { full: 60, quick: 10 };

async function* run(options: BenchOptions): AsyncGenerator<KillRow, void, void> {
  const kills = killsWanted[options.size];
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    const variant = clearwayWorkers(options.clearway.command, workers);
    const subject = await startSubject(variant, { backendPort: backend.port, cores: null });
    try {
      await waitForAnswer(`http://127.0.0.1:${subject.adminPort}/readyz`, subject.running);
      options.say(`kill: ${kills} kills, one a second`);
      const { port, adminPort } = subject;
      const wanted = { status: 200, body: smallBody };
      yield* await killWorkers({ port, adminPort, path: "/small", wanted, connections, kills, periodMs });
    } finally {
      await stopSubject(subject);
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

function report(rows: readonly KillRow[]): Report {
  const sum = (read: (row: KillRow) => number) => rows.reduce((total, row) => total + read(row), 0);
  const middle = (read: (row: KillRow) => number) => figure(median(rows.map(read)));
  const most = (read: (row: KillRow) => number) => figure(Math.max(...rows.map(read)));
  const line = [
    String(rows.length),
    sum((row) => row.succeeded).toLocaleString("en"),
    String(sum((row) => row.connections)),
    String(sum((row) => row.failed)),
    String(sum((row) => row.idle)),
    String(sum((row) => row.waiting)),
    String(sum((row) => row.foreign)),
    middle((row) => row.failed),
    most((row) => row.failed),
    middle((row) => row.replacedMs),
    most((row) => row.replacedMs),
  ];
  const columns = [
    "kills",
    "requests",
    "connections",
    "failed",
    "idle",
    "waiting",
    "others'",
    "failed a kill",
    "most",
    "replaced ms",
    "most ms",
  ];
  const notes = [
    `${connections} keep-alive connections, closed loop, over ${workers} workers, of which one is killed (SIGKILL) every ${periodMs / 1000} s, each in its turn`,
    "connections: those of the killed workers; failed: with a request on them, idle: without; waiting: lost before any worker accepted them",
    "others': connections of workers that were not killed, and new ones, that were lost or refused",
    "replaced: from the kill until another process served in its place",
  ];
  const foreign = rows.filter((row) => row.foreign > 0);
  return {
    tables: [{ title: "Workers killed under load", columns, rows: [line], notes }],
    problems: foreign.map(
      (row) => `kill: worker ${row.worker} took ${row.foreign} connections of others with it`,
    ),
  };
}

export const kill: Workload<KillRow> = { name: "kill", title: "workers killed under load", run, report };
