/** A rate limit under ten times its rate: how many requests pass, of one node with four workers, and of two nodes. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Load, startLoad } from "../load.ts";
import { findProgram, loadCores, type Running, start } from "../processes.ts";
import { percent } from "../table.ts";
import {
  clearwayWorkers,
  freePort,
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

const roundsWanted = { full: 3, quick: 1 };
const secondsWanted = { full: 10, quick: 5 };
const connections = 64;
/** The bucket is full at first. Where the machine is busy, a program that just started may take longer to empty it. */
const leadMs = 1_000;
const leadMaxMs = 20_000;
const storeWaitMs = 10_000;

interface Case {
  readonly name: string;
  readonly nodes: number;
  readonly workers: number;
  readonly limit: number;
  readonly offered: number;
  /** Of the limit; what may pass more or less. */
  readonly margin: number;
}

const cases: readonly Case[] = [
  { name: "four workers, 1,000/s", nodes: 1, workers: 4, limit: 1_000, offered: 10_000, margin: 0.02 },
  { name: "four workers, 100/s", nodes: 1, workers: 4, limit: 100, offered: 1_000, margin: 0.02 },
  { name: "two nodes and Redis, 1,000/s", nodes: 2, workers: 2, limit: 1_000, offered: 10_000, margin: 0.05 },
  { name: "two nodes and Redis, 100/s", nodes: 2, workers: 2, limit: 100, offered: 1_000, margin: 0.05 },
];

export interface LimitsRow {
  readonly round: number;
  readonly case: string;
  readonly elapsedMs: number;
  readonly passed: number;
  readonly refused: number;
  readonly failed: number;
  readonly example: string | null;
  /** By the store, and by the nodes alone; 0 without a store. */
  readonly stored: number;
  readonly alone: number;
}

async function* run(options: BenchOptions): AsyncGenerator<LimitsRow, void, void> {
  const seconds = options.seconds ?? secondsWanted[options.size];
  const chosen = cases.filter(
    ({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)),
  );
  for (const round of roundsOf(options, roundsWanted)) {
    for (const one of chosen) {
      options.say(`limits: round ${round}, ${one.name}`);
      yield { round, ...(await measure(one, options.clearway.command, seconds)) };
    }
  }
}

type Measured = Omit<LimitsRow, "round">;

async function measure(one: Case, command: readonly string[], seconds: number): Promise<Measured> {
  const folder = makeFolder();
  const started: (() => Promise<unknown>)[] = [() => Promise.resolve(removeFolder(folder))];
  try {
    const backend = await startBackend(folder);
    started.push(() => backend.running.stop());
    const store = one.nodes === 1 ? null : await startRedis(folder);
    if (store !== null) started.push(() => store.running.stop());
    const subjects: Subject[] = [];
    for (let node = 0; node < one.nodes; node++) {
      const subject = await startSubject(clearwayWorkers(command, one.workers), {
        ...{ backendPort: backend.port, cores: null, template: "clearway-limits.yaml" },
        values: { limit: one.limit, store: store === null ? "" : `, store: "${store.url}"` },
      });
      started.push(() => stopSubject(subject));
      await waitForAnswer(`http://127.0.0.1:${subject.adminPort}/readyz`, subject.running);
      subjects.push(subject);
    }
    return { case: one.name, ...(await loadOn(subjects, one, seconds)) };
  } finally {
    for (const stop of started.reverse()) await stop();
  }
}

async function startRedis(folder: string): Promise<{ url: string; running: Running }> {
  const program = findProgram("redis-server");
  if (program === null) throw new Error("no redis-server on this machine: apt-get install redis-server");
  const port = await freePort();
  const place = ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""];
  const running = start({ name: "redis", command: [program, ...place], cores: loadCores, folder });
  for (const deadline = performance.now() + storeWaitMs; !(await accepts(port)); ) {
    if (performance.now() > deadline) throw new Error(`redis-server does not listen\n${running.log()}`);
    await sleep(5);
  }
  return { url: `redis://127.0.0.1:${port}`, running };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", (failed) => resolve(!failed));
  });
}

async function loadOn(
  subjects: readonly Subject[],
  one: Case,
  seconds: number,
): Promise<Omit<Measured, "case">> {
  const refusal = Buffer.from(`rate-limited: more than ${one.limit} requests in 1 s\n`);
  const loads = subjects.map(({ port }) =>
    startLoad({
      ...{ port, path: "/small", connections: connections / subjects.length },
      requestsPerSecond: one.offered / subjects.length,
      wanted: { status: 200, body: smallBody },
      refusal: { status: 429, body: refusal },
    }),
  );
  await sleep(leadMs);
  for (const deadline = performance.now() + leadMaxMs; !loads.every(({ refused }) => refused > 0); ) {
    if (performance.now() > deadline) throw new Error(`nothing was refused within ${leadMaxMs} ms`);
    await sleep(50);
  }
  const before = loads.map(countsOf);
  await sleep(seconds * 1_000);
  const after = loads.map(countsOf);
  const sum = (read: (counts: Counts) => number) =>
    after.reduce((total, counts, index) => total + read(counts) - read(before[index]!), 0);
  const example = loads.map((load) => load.result().examples[0]).find((each) => each !== undefined) ?? null;
  await Promise.all(loads.map((load) => load.stop()));
  const [stored, alone] = await storeCounts(subjects);
  return {
    ...{ passed: sum(({ passed }) => passed), refused: sum(({ refused }) => refused) },
    ...{ failed: sum(({ failed }) => failed), example, stored, alone },
    elapsedMs: sum(({ elapsedMs }) => elapsedMs) / loads.length,
  };
}

interface Counts {
  readonly passed: number;
  readonly refused: number;
  readonly failed: number;
  readonly elapsedMs: number;
}

function countsOf(load: Load): Counts {
  const { succeeded, failed, failures, elapsedMs } = load.result();
  // What a busy machine cannot even ask is no fault of the proxy; the column "asked/s" shows it.
  const sent = failed - (failures.overload ?? 0);
  return { passed: succeeded - load.refused, refused: load.refused, failed: sent, elapsedMs };
}

async function storeCounts(subjects: readonly Subject[]): Promise<[stored: number, alone: number]> {
  let [stored, alone] = [0, 0];
  for (const { adminPort } of subjects) {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    for (const [, result, count] of text.matchAll(
      /^clearway_filter_rate_limit_store_total\{result="(\w+)"\} (\d+)/gm,
    )) {
      if (result === "answered") stored += Number(count);
      else alone += Number(count);
    }
  }
  return [stored, alone];
}

function wantedOf({ case: name }: LimitsRow): Case {
  return cases.find((one) => one.name === name)!;
}

function hundredths(share: number): string {
  return `${(share * 100).toFixed(2)}%`;
}

/** What passed more (or less) than the limit, as a part of it. */
function offBy(row: LimitsRow): number {
  return row.passed / ((wantedOf(row).limit * row.elapsedMs) / 1_000) - 1;
}

function report(rows: readonly LimitsRow[]): Report {
  const lines = rows.map((row) => [
    row.case,
    String(row.round),
    `${Math.round(((row.passed + row.refused) * 1_000) / row.elapsedMs)}`,
    row.passed.toLocaleString("en"),
    ((row.passed * 1_000) / row.elapsedMs).toFixed(1),
    hundredths(offBy(row)),
    String(row.failed),
    row.stored.toLocaleString("en"),
    row.alone.toLocaleString("en"),
  ]);
  const columns = [
    "limit",
    "round",
    "asked/s",
    "passed",
    "passed/s",
    "off by",
    "failed",
    "by the store",
    "alone",
  ];
  const notes = [
    `${connections} connections; counted by the load generator, from the second second on and from the first refusal`,
    "by the store, alone: how requests were counted, from the first one on",
  ];
  return {
    tables: [{ title: "A rate limit under ten times its rate", columns, rows: lines, notes }],
    problems: rows.flatMap(problemsOf),
  };
}

function problemsOf(row: LimitsRow): string[] {
  const { margin, limit } = wantedOf(row);
  const found: string[] = [];
  if (Math.abs(offBy(row)) > margin)
    found.push(`off by ${hundredths(offBy(row))}, wanted ${percent(margin)} at most`);
  if (row.failed > 0) found.push(`${row.failed} failed: ${row.example}`);
  // A limit that is hardly reached shows nothing.
  if (row.refused * 1_000 < limit * row.elapsedMs) found.push("the load was less than twice the limit");
  return found.map((problem) => `limits: round ${row.round}, ${row.case}: ${problem}`);
}

export const limits: Workload<LimitsRow> = {
  name: "limits",
  title: "a rate limit under ten times its rate",
  run,
  report,
};
