/** Ten minutes of a steady load of small and large answers: does memory grow? */
import { checkWork } from "../check.ts";
import { runFixedRate } from "../fixed-rate.ts";
import { type Memory, proxyCores, readMemory } from "../processes.ts";
import { median } from "../statistics.ts";
import { figure, mebibytes } from "../table.ts";
import {
  bodyBytes,
  clearway,
  makeFolder,
  removeFolder,
  type Subject,
  smallBody,
  startBackend,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import type { BenchOptions, Report, Workload } from "../workload.ts";

const minutesWanted = 10;
const quickSlices = 2;
/** One after the other in each slice. */
const parts = {
  full: [
    { path: "/small", bodyBytes: smallBody.length, requestsPerSecond: 5_000, seconds: 7 },
    { path: "/bytes/64k", bodyBytes: bodyBytes["64k"], requestsPerSecond: 1_000, seconds: 3 },
  ],
  quick: [{ path: "/small", bodyBytes: smallBody.length, requestsPerSecond: 2_000, seconds: 2 }],
} as const;
const connections = 64;
/** The last third over the middle one: more than this is growth. */
const growthMax = 1.05;
/** A second part is needed, and a third. */
const slicesToDecide = 9;

export interface SoakRow extends Memory {
  /** From 1 on. */
  readonly slice: number;
  /** Since the first request. */
  readonly elapsedMs: number;
  readonly requests: number;
  readonly failed: number;
  readonly example: string | null;
  /** Of the small answers of the slice. */
  readonly p99Us: number;
}

async function* run(options: BenchOptions): AsyncGenerator<SoakRow, void, void> {
  const variant = clearway(options.clearway.command, "clearway");
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    const subject = await startSubject(variant, { backendPort: backend.port, cores: proxyCores });
    try {
      await waitForAnswer(`${subject.origin}/small`, subject.running);
      await checkWork(variant, subject, { path: "/small", uploadBytes: 0 });
      const startedAt = performance.now();
      const endsAt = startedAt + minutesWanted * 60_000;
      for (let slice = 1; ; slice++) {
        options.say(`soak: slice ${slice}`);
        const row = await measure(subject, options.size);
        yield { slice, elapsedMs: performance.now() - startedAt, ...row };
        const now = performance.now();
        if (options.size === "quick" ? slice >= quickSlices : now > (options.endsAtMs ?? endsAt)) return;
      }
    } finally {
      await stopSubject(subject);
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

async function measure(
  { port, running }: Subject,
  size: BenchOptions["size"],
): Promise<Omit<SoakRow, "slice" | "elapsedMs">> {
  const sum = { requests: 0, failed: 0, example: null as string | null, p99Us: 0 };
  for (const part of parts[size]) {
    const result = await runFixedRate({ port, connections, warmSeconds: 0, ...part });
    sum.requests += result.requests;
    sum.failed += result.failed;
    sum.example ??= result.example;
    if (part.path === "/small") sum.p99Us = result.p99Us;
  }
  return { ...sum, ...readMemory(running!.pid) };
}

/** Of the last third of the slices over the middle one; NaN with too few. */
function growthOf(rows: readonly SoakRow[]): number {
  if (rows.length < slicesToDecide) return Number.NaN;
  const third = Math.floor(rows.length / 3);
  const middle = (part: readonly SoakRow[]) => median(part.map((row) => row.pssBytes));
  return middle(rows.slice(-third)) / middle(rows.slice(third, 2 * third));
}

function report(rows: readonly SoakRow[]): Report {
  const shown = 10;
  const every = Math.max(1, Math.ceil(rows.length / shown));
  const lines = rows
    .filter((row) => row.slice % every === 0 || row === rows.at(-1))
    .map((row) => [
      figure(row.elapsedMs / 1000),
      mebibytes(row.rssBytes),
      mebibytes(row.pssBytes),
      figure(row.p99Us),
    ]);
  const growth = growthOf(rows);
  const verdict = Number.isNaN(growth) ? "undecided" : growth <= growthMax ? "flat" : "growing";
  const requests = rows.reduce((sum, row) => sum + row.requests, 0);
  const failed = rows.reduce((sum, row) => sum + row.failed, 0);
  const notes = [
    `${requests.toLocaleString("en")} requests on ${connections} connections, none failed unless told: 7 s of 5,000 small answers a second, 3 s of 1,000 with 64 KiB, and again`,
    "sums over all processes of the node, read after each slice; the table shows every some of them",
    `the last third of the slices over the middle one: ${Number.isNaN(growth) ? "too few slices" : `${growth.toFixed(3)} times`}, ${verdict} (margin ${growthMax})`,
  ];
  const columns = ["seconds", "RSS MiB", "Pss MiB", "p99 us"];
  const example = rows.find((row) => row.example !== null)?.example;
  return {
    tables: [{ title: "Memory of a node under a steady load", columns, rows: lines, notes }],
    problems: failed > 0 ? [`soak: ${failed} requests failed: ${example}`] : [],
  };
}

export const soak: Workload<SoakRow> = {
  ...{ name: "soak", title: "memory over ten minutes", quickSeconds: 6 },
  run,
  report,
};
