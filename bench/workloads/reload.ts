/** The config is replaced again and again under load: no request may fail, and few may wait. */
import { renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Histogram } from "../histogram.ts";
import { type LoadResult, startLoad } from "../load.ts";
import { proxyCores } from "../processes.ts";
import { median, pairedRatio, verdictOf } from "../statistics.ts";
import { figure } from "../table.ts";
import {
  clearway,
  fillTemplate,
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

const template = "clearway-reload.yaml";
const reloadsWanted = { full: 1_000, quick: 30 };
const roundsWanted = { full: 9, quick: 3 };
const warmMs = 2_000;
/** From one save to the next. */
const intervalMs = { min: 100, max: 200 };
/** Asked that often whether a save is live, and for that long. */
const pollMs = 5;
const liveMsMax = 5_000;
const connections = 16;
const requestsPerSecond = 2_000;
/** p99 while reloading, over p99 without. */
const margin = 1.25;

export interface ReloadRow extends LoadResult {
  readonly round: number;
  readonly phase: "steady" | "reloading";
  /** Saves that were seen live. */
  readonly reloads: number;
  /** From the save to the first answer of the new generation. */
  readonly liveMs: { readonly p50: number; readonly max: number };
}

interface Scene {
  readonly subject: Subject;
  readonly backendPort: number;
  generation: number;
}

async function* run(options: BenchOptions): AsyncGenerator<ReloadRow, void, void> {
  const rounds = options.rounds ?? roundsWanted[options.size];
  const reloads = Math.ceil(reloadsWanted[options.size] / rounds);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  const backendPort = backend.port;
  try {
    const subject = await startSubject(clearway(options.clearway.command, "clearway"), {
      backendPort,
      cores: proxyCores,
      template,
      values: { generation: 0 },
    });
    const scene: Scene = { subject, backendPort, generation: 0 };
    try {
      await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
      await load(scene, () => sleep(warmMs));
      for (let round = 1; round <= rounds; round++) {
        options.say(`reload: round ${round} of ${rounds}, ${reloads} reloads each`);
        const steady = () => load(scene, () => sleep((reloads * (intervalMs.min + intervalMs.max)) / 2));
        const none = { reloads: 0, liveMs: { p50: 0, max: 0 } };
        if (round % 2 === 1) yield { round, phase: "steady", ...none, ...(await steady()) };
        yield { round, phase: "reloading", ...(await reloading(scene, reloads)) };
        if (round % 2 === 0) yield { round, phase: "steady", ...none, ...(await steady()) };
      }
    } finally {
      await stopSubject(subject);
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

async function load({ subject }: Scene, during: () => Promise<void>): Promise<LoadResult> {
  const wanted = { status: 200, body: smallBody };
  const generator = startLoad({ port: subject.port, path: "/small", connections, requestsPerSecond, wanted });
  await during();
  return await generator.stop();
}

async function reloading(scene: Scene, reloads: number) {
  const live = new Histogram();
  const result = await load(scene, async () => {
    for (let reload = 0; reload < reloads; reload++) {
      const nextAt = performance.now() + intervalMs.min + Math.random() * (intervalMs.max - intervalMs.min);
      live.add((await save(scene)) * 1000);
      await sleep(Math.max(0, nextAt - performance.now()));
    }
  });
  const liveMs = { p50: live.percentileUs(0.5) / 1000, max: live.maxUs / 1000 };
  return { ...result, reloads: live.count, liveMs };
}

/** Saves the next generation as an editor does, and returns how long it took to be live. */
async function save(scene: Scene): Promise<number> {
  const { subject, backendPort } = scene;
  const { port, adminPort: admin, configPath } = subject;
  const generation = ++scene.generation;
  writeFileSync(
    `${configPath}.new`,
    fillTemplate(template, { port, admin, backend: backendPort, generation }),
  );
  renameSync(`${configPath}.new`, configPath);
  const savedAt = performance.now();
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/generation`);
    const seen = await answer.text();
    const passedMs = performance.now() - savedAt;
    if (seen === String(generation)) return passedMs;
    if (passedMs > liveMsMax) {
      throw new Error(
        `generation ${generation} was not live after ${liveMsMax} ms: found "${seen}"\n${subject.running?.log()}`,
      );
    }
    await sleep(pollMs);
  }
}

function report(rows: readonly ReloadRow[]): Report {
  const phases = ["steady", "reloading"] as const;
  const lines = phases.map((phase) => {
    const mine = rows.filter((row) => row.phase === phase);
    const sum = (read: (row: ReloadRow) => number) => mine.reduce((total, row) => total + read(row), 0);
    const middle = (read: (row: ReloadRow) => number) => figure(median(mine.map(read)));
    return [
      phase,
      sum((row) => row.reloads).toLocaleString("en"),
      sum((row) => row.succeeded).toLocaleString("en"),
      String(sum((row) => row.failed)),
      String(sum((row) => row.closedByPeer)),
      middle((row) => row.latencyMs.p50 * 1000),
      middle((row) => row.latencyMs.p99 * 1000),
      figure(Math.max(...mine.map((row) => row.latencyMs.max))),
      phase === "steady" ? "-" : middle((row) => row.liveMs.p50),
    ];
  });
  const columns = [
    "phase",
    "reloads",
    "requests",
    "failed",
    "closed",
    "p50 us",
    "p99 us",
    "max ms",
    "live ms",
  ];
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const table = {
    title: `Reloads under load, rounds: ${rounds}`,
    columns,
    rows: lines,
    notes: notesOf(rows),
  };
  return { tables: [table], problems: problemsOf(rows) };
}

function notesOf(rows: readonly ReloadRow[]): string[] {
  const p99 = (phase: ReloadRow["phase"]) =>
    new Map(rows.filter((row) => row.phase === phase).map((row) => [row.round, row.latencyMs.p99]));
  const ratio = pairedRatio(p99("reloading"), p99("steady"));
  const notes = [
    `${requestsPerSecond.toLocaleString("en")} requests a second on ${connections} keep-alive connections; the file is replaced every ${intervalMs.min} to ${intervalMs.max} ms, once the last one is live`,
    "failed: anything but the wanted status and body, byte for byte; closed: connections that the proxy closed",
    "live: from the save to the first answer by the new config, the median; max is of one request",
  ];
  if (ratio !== null) {
    const range = `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`;
    notes.push(
      `p99 reloading over p99 steady: ${ratio.median.toFixed(2)} (${range}), ${verdictOf(ratio, margin)} ${margin}`,
    );
  }
  return notes;
}

function problemsOf(rows: readonly ReloadRow[]): string[] {
  return rows
    .filter((row) => row.failed > 0)
    .map(
      (row) => `reload: round ${row.round}, ${row.phase}: ${row.failed} failed: ${row.examples.join("; ")}`,
    );
}

export const reload: Workload<ReloadRow> = {
  name: "reload",
  title: "the config replaced under load",
  run,
  report,
};
