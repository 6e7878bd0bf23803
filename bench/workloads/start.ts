/** From exec to the first answer through the proxy, and the size of the program. */
import { realpathSync, statSync } from "node:fs";
import { peers, wantPeer } from "../peers.ts";
import { median } from "../statistics.ts";
import { figure, mebibytes } from "../table.ts";
import {
  clearway,
  makeFolder,
  nginx,
  peerVariants,
  removeFolder,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  type VariantName,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";

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
  const found = peerVariants.filter(({ name }) => options.peers.has(name));
  const chosen = options.size === "quick" ? [nginx] : found;
  const variants = [...chosen, clearway(options.clearway.command, "clearway")];
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 20, quick: 3 })) {
      options.say(`start: round ${round}`);
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
  if (variant.name === "clearway") return own === null ? null : statSync(own).size;
  const peer = peers.find(({ name }) => name === variant.name);
  // Of a script the program is the runtime under it: its size says nothing about the proxy.
  if (peer?.kind !== "program") return null;
  return statSync(realpathSync(wantPeer(peer.name)[0]!)).size;
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
    "program: the one file; nginx and HAProxy need libraries of the system besides, the proxies in TypeScript a runtime",
  ];
  return { tables: [{ title: `Start, ${rounds} starts`, columns, rows: lines, notes }], problems: [] };
}

function describeMargin(milliseconds: number): string {
  return `${milliseconds <= firstAnswerMsMax ? "within" : "over"} ${firstAnswerMsMax} ms`;
}

export const start: Workload<StartRow> = {
  ...{ name: "start", title: "time to the first answer", quickSeconds: 4 },
  run,
  report,
};
