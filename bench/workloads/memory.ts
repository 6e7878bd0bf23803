/** What a one-worker node holds after a million requests, and whether it goes on growing. */
import { setTimeout as sleep } from "node:timers/promises";
import { checkWork } from "../check.ts";
import { proxyCores, readMemory } from "../processes.ts";
import { mebibytes } from "../table.ts";
import {
  clearway,
  makeFolder,
  removeFolder,
  type Subject,
  startBackend,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import type { BenchOptions, Report, Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";

const pssBytesMax = 120 * 2 ** 20;
/** From the first reading under load to the last: more than this is growth. */
const growthMax = 1.05;
const readings = 3;
const connections = 64;
const path = "/small";
/** Before each reading, so that what belongs to open connections is gone. */
const restMs = 1_000;
const sliceSecondsMax = 10;

export interface MemoryRow {
  readonly requests: number;
  readonly failed: number;
  readonly rssBytes: number;
  readonly pssBytes: number;
}

async function* run(options: BenchOptions): AsyncGenerator<MemoryRow, void, void> {
  const step = options.size === "quick" ? 50_000 : 1_000_000;
  const variant = clearway(options.clearway.command, "clearway");
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    const subject = await startSubject(variant, { backendPort: backend.port, cores: proxyCores });
    try {
      const url = `http://127.0.0.1:${subject.port}${path}`;
      await waitForAnswer(url, subject.running);
      await checkWork(variant, subject, { path, uploadBytes: 0 });
      yield await read(subject, { requests: 0, failed: 0 });
      const sum = { requests: 0, failed: 0 };
      for (let reading = 1; reading <= readings; reading++) {
        options.say(`memory: to ${reading * step} requests`);
        await loadUntil(reading * step, url, sum);
        yield await read(subject, sum);
      }
    } finally {
      await stopSubject(subject);
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

/** wrk counts in seconds, not in requests: in slices as long as the last one says that the rest will take. */
async function loadUntil(requests: number, url: string, sum: { requests: number; failed: number }) {
  let seconds = 1;
  while (sum.requests < requests) {
    const slice = await runWrk({ url, connections, seconds, uploadBytes: 0 });
    sum.requests += slice.requests;
    sum.failed += slice.failed;
    const left = (requests - sum.requests) / (slice.requests / seconds);
    seconds = Math.min(sliceSecondsMax, Math.max(1, Math.floor(left)));
  }
}

async function read(subject: Subject, sum: { requests: number; failed: number }): Promise<MemoryRow> {
  await sleep(restMs);
  return { ...sum, ...readMemory(subject.running!.pid) };
}

function report(rows: readonly MemoryRow[]): Report {
  const lines = rows.map((row) => [
    row.requests.toLocaleString("en"),
    mebibytes(row.rssBytes),
    mebibytes(row.pssBytes),
    row.requests === 0 ? "" : row.pssBytes <= pssBytesMax ? "within 120 MiB" : "over 120 MiB",
  ]);
  const [first, last] = [rows[1], rows.at(-1)];
  const growth = first === undefined ? Number.NaN : last!.pssBytes / first.pssBytes;
  const notes = [
    `sums over all processes of the node, ${connections} connections, read ${restMs / 1000} s after the load`,
    `from the first reading under load to the last: ${growth.toFixed(3)} times, ${growth <= growthMax ? "flat" : "not flat"} (margin ${growthMax})`,
  ];
  const failed = last?.failed ?? 0;
  const columns = ["requests", "RSS MiB", "Pss MiB", "verdict"];
  return {
    tables: [{ title: "Memory of a one-worker node", columns, rows: lines, notes }],
    problems: failed > 0 ? [`memory: ${failed} requests failed`] : [],
  };
}

export const memory: Workload<MemoryRow> = {
  name: "memory",
  title: "memory after millions of requests",
  run,
  report,
};
