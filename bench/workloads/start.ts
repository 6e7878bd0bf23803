/** From exec to the first answer through the proxy, and the size of the program. */
import { realpathSync, statSync } from "node:fs";
import { median } from "../statistics.ts";
import { figure, mebibytes } from "../table.ts";
import {
  clearway,
  haproxy,
  makeFolder,
  nginx,
  removeFolder,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  type VariantName,
  waitForAnswer,
  wantProgram,
} from "../variants.ts";
import type { BenchOptions, Report, Workload } from "../workload.ts";

/** Milliseconds to the first answer, at most: the median. */
const firstAnswerMsMax = 150;
const pollMs = 1;

export interface StartRow {
  readonly variant: VariantName;
  readonly round: number;
  readonly firstAnswerMs: number;
  /** Null when it runs from source. */
  readonly programBytes: number | null;
}

async function* run(options: BenchOptions): AsyncGenerator<StartRow, void, void> {
  const rounds = options.rounds ?? (options.size === "quick" ? 5 : 20);
  const variants = [nginx, clearway(options.clearway.command, "clearway")];
  if (options.peers.has("haproxy")) variants.splice(1, 0, haproxy);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (let round = 1; round <= rounds; round++) {
      options.say(`start: round ${round} of ${rounds}`);
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        const firstAnswerMs = await measure(variant, backend.port);
        yield { variant: variant.name, round, firstAnswerMs, programBytes: programBytes(variant, options) };
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

async function measure(variant: Variant, backendPort: number): Promise<number> {
  let startedAt = 0;
  const started = () => {
    startedAt = performance.now();
  };
  // On all cores, as on a machine of its own.
  const subject = await startSubject(variant, { backendPort, cores: null, started });
  try {
    await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running, pollMs);
    return performance.now() - startedAt;
  } finally {
    await stopSubject(subject);
  }
}

function programBytes(variant: Variant, options: BenchOptions): number | null {
  const own = options.clearway.binaryPath;
  if (variant.name === "nginx" || variant.name === "haproxy") {
    return statSync(realpathSync(wantProgram(variant.name))).size;
  }
  return own === null ? null : statSync(own).size;
}

function report(rows: readonly StartRow[]): Report {
  const variants = [...new Set(rows.map((row) => row.variant))];
  const lines = variants.map((variant) => {
    const mine = rows.filter((row) => row.variant === variant);
    const times = mine.map((row) => row.firstAnswerMs);
    const bytes = mine[0]!.programBytes;
    return [
      variant,
      figure(median(times)),
      `${figure(Math.min(...times))}..${figure(Math.max(...times))}`,
      variant === "clearway" ? describeMargin(median(times)) : "",
      bytes === null ? "-" : mebibytes(bytes),
    ];
  });
  const columns = ["proxy", "first answer ms", "starts", "verdict", "program MiB"];
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const notes = [
    `from exec to the first 200 from the backend, asked for every ${pollMs} ms, all cores; median and range`,
    "program: the one file; nginx and HAProxy need libraries of the system besides",
  ];
  return { tables: [{ title: `Start, ${rounds} starts`, columns, rows: lines, notes }], problems: [] };
}

function describeMargin(milliseconds: number): string {
  return `${milliseconds <= firstAnswerMsMax ? "within" : "over"} ${firstAnswerMsMax} ms`;
}

export const start: Workload<StartRow> = {
  name: "start",
  title: "time to the first answer",
  run,
  report,
};
