/** A user's own filter is saved again and again under load, every fifth time broken: no request may fail. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Histogram } from "../histogram.ts";
import { type LoadResult, startLoad } from "../load.ts";
import { repository } from "../machine.ts";
import { type Memory, proxyCores, readMemory } from "../processes.ts";
import { median } from "../statistics.ts";
import { figure, mebibytes } from "../table.ts";
import {
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
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";

const savesWanted = { full: 200, quick: 20 };
/** One of so many is broken. */
const brokenEvery = 5;
const warmMs = 2_000;
const steadyMsMax = 20_000;
/** Asked that often whether a save is live or refused, and for that long. */
const pollMs = 5;
const seenMsMax = 20_000;
/** What the last trial held is gone by then. */
const restMs = 1_000;
const memoryTriesMax = 5;
const connections = 16;
const requestsPerSecond = 1_000;
const filter = readFileSync(join(repository, "bench/filters/stamp.ts"), "utf8");

type Phase = "steady" | "saving";

interface Span {
  readonly p50: number;
  readonly max: number;
}

export interface PluginReloadRow extends LoadResult {
  readonly round: number;
  readonly phase: Phase;
  /** Right ones, each seen live. */
  readonly saves: number;
  /** Each seen in `/problems`, with the version before it serving. */
  readonly broken: number;
  /** From the save to the first answer by the new code; to the problem. */
  readonly liveMs: Span;
  readonly refusedMs: Span;
  /** Of all processes of the node, at the end. */
  readonly memory: Memory;
}

interface Scene {
  readonly subject: Subject;
  generation: number;
}

async function* run(options: BenchOptions): AsyncGenerator<PluginReloadRow, void, void> {
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 3, quick: 1 })) {
      const subject = await startSubject(clearway(options.clearway.command, "clearway"), {
        backendPort: backend.port,
        cores: proxyCores,
        template: "clearway-script.yaml",
        files: { "stamp.ts": "../filters/stamp.ts" },
      });
      try {
        await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
        const scene = { subject, generation: 0 };
        const saves = savesWanted[options.size];
        await load(scene, () => sleep(warmMs));
        options.say(`plugin-reload: round ${round}, ${saves} saves`);
        const saving = await savingUnderLoad(scene, saves);
        const none = { p50: 0, max: 0 };
        const quiet = { saves: 0, broken: 0, liveMs: none, refusedMs: none };
        yield { round, phase: "saving", ...saving, memory: await memoryOf(scene) };
        const steady = await load(scene, () => sleep(Math.min(saving.elapsedMs, steadyMsMax)));
        yield { round, phase: "steady", ...quiet, ...steady, memory: await memoryOf(scene) };
      } finally {
        await stopSubject(subject);
      }
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

async function memoryOf({ subject }: Scene): Promise<Memory> {
  for (let tries = 1; ; tries++) {
    await sleep(restMs);
    try {
      return readMemory(subject.running!.pid);
    } catch (error) {
      // A trial that ended just then.
      if (tries === memoryTriesMax) throw error;
    }
  }
}

async function savingUnderLoad(scene: Scene, saves: number) {
  const [live, refused] = [new Histogram(), new Histogram()];
  const result = await load(scene, async () => {
    for (let number = 1; number <= saves; number++) {
      if (number % brokenEvery === 0) refused.add((await saveBroken(scene)) * 1000);
      else live.add((await save(scene)) * 1000);
    }
  });
  const span = (times: Histogram): Span => ({ p50: times.percentileUs(0.5) / 1000, max: times.maxUs / 1000 });
  const counts = { saves: live.count, broken: refused.count };
  return { ...result, ...counts, liveMs: span(live), refusedMs: span(refused) };
}

/** As an editor saves. */
function write({ subject }: Scene, text: string): void {
  const path = join(subject.folder, "stamp.ts");
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function save(scene: Scene): Promise<number> {
  const generation = String(++scene.generation);
  write(scene, filter.replace('"script"', JSON.stringify(generation)));
  return seen(scene, `generation ${generation} live`, async ({ port }) => {
    const answer = await fetch(`http://127.0.0.1:${port}/small`);
    await answer.arrayBuffer();
    return answer.headers.get("x-bench") === generation;
  });
}

function saveBroken(scene: Scene): Promise<number> {
  write(scene, filter.replace("middleware: () =>", "middleware: ("));
  return seen(scene, "the broken save in /problems", async ({ adminPort }) => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/problems`);
    return ((await answer.json()) as { readonly problems: readonly unknown[] }).problems.length > 0;
  });
}

/** Returns how long it took. */
async function seen(
  { subject }: Scene,
  what: string,
  look: (subject: Subject) => Promise<boolean>,
): Promise<number> {
  const savedAt = performance.now();
  for (;;) {
    const found = await look(subject);
    const passedMs = performance.now() - savedAt;
    if (found) return passedMs;
    if (passedMs > seenMsMax) {
      throw new Error(`did not see ${what} after ${seenMsMax} ms\n${subject.running?.log()}`);
    }
    await sleep(pollMs);
  }
}

const columns = [
  ...["phase", "saves", "broken", "requests", "failed", "closed", "p50 us", "p99 us", "max ms"],
  ...["live ms", "most", "refused ms", "RSS MiB", "Pss MiB"],
];

function report(rows: readonly PluginReloadRow[]): Report {
  const lines = (["steady", "saving"] as const).map((phase) => {
    const mine = rows.filter((row) => row.phase === phase);
    const sum = (read: (row: PluginReloadRow) => number) =>
      mine.reduce((total, row) => total + read(row), 0).toLocaleString("en");
    const middle = (read: (row: PluginReloadRow) => number) => figure(median(mine.map(read)));
    const most = (read: (row: PluginReloadRow) => number) => figure(Math.max(...mine.map(read)));
    const saved = phase === "saving";
    return [
      phase,
      sum((row) => row.saves),
      sum((row) => row.broken),
      sum((row) => row.succeeded),
      sum((row) => row.failed),
      sum((row) => row.closedByPeer),
      middle((row) => row.latencyMs.p50 * 1000),
      middle((row) => row.latencyMs.p99 * 1000),
      most((row) => row.latencyMs.max),
      saved ? middle((row) => row.liveMs.p50) : "-",
      saved ? most((row) => row.liveMs.max) : "-",
      saved ? middle((row) => row.refusedMs.p50) : "-",
      mebibytes(median(mine.map((row) => row.memory.rssBytes))),
      mebibytes(median(mine.map((row) => row.memory.pssBytes))),
    ];
  });
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const notes = [
    `${requestsPerSecond.toLocaleString("en")} requests a second on ${connections} keep-alive connections, on the core that all of Clearway has, the process that tries each save too; the next save follows when the last one is live, every ${brokenEvery}th is broken`,
    "failed: anything but the wanted status and body, byte for byte; closed: connections that the proxy closed",
    "live: from the save to the first answer by the new code; refused: to its problem in /problems",
    "steady: the same process, after the saves; memory: of all processes of the node, at the end of the phase",
  ];
  const title = `A filter of the user's own saved under load, rounds: ${rounds}`;
  return { tables: [{ title, columns, rows: lines, notes }], problems: problemsOf(rows) };
}

function problemsOf(rows: readonly PluginReloadRow[]): string[] {
  return rows
    .filter((row) => row.failed > 0)
    .map(
      ({ round, phase, failed, examples }) =>
        `plugin-reload: round ${round}, ${phase}: ${failed} failed: ${examples.join("; ")}`,
    );
}

export const pluginReload: Workload<PluginReloadRow> = {
  name: "plugin-reload",
  title: "a filter of the user's own saved under load",
  run,
  report,
};
