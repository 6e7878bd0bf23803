/** Ten services that fail in three ways: what do callers see of it, and what do retries cost the services? */
import { setTimeout as sleep } from "node:timers/promises";
import { startLoad } from "../load.ts";
import { loadCores, proxyCores, type Running, start } from "../processes.ts";
import { percent } from "../table.ts";
import {
  clearway,
  freePort,
  makeFolder,
  removeFolder,
  smallBody,
  startSubject,
  stopSubject,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";

const roundsWanted = { full: 3, quick: 1 };
const secondsWanted = { full: 30, quick: 5 };
const upstreamCount = 10;
const connections = 64;
const requestsPerSecond = 1_000;

interface Case {
  readonly name: string;
  /** Of the services. */
  readonly condition: string;
  readonly retry: string;
  /** From the first request to the first that counts. */
  readonly leadMs: number;
  /** Of the requests; at most. */
  readonly failedMax: number;
  /** Tries of the services over requests of callers. */
  readonly triesMin: number;
  readonly triesMax: number;
  /** Further tries that are allowed in each second. */
  readonly extraPerSecond: number;
}

const cases: readonly Case[] = [
  {
    ...{ name: "three of ten answer 503", condition: "three-failing", retry: "{ attempts: 3 }" },
    ...{ leadMs: 1_000, failedMax: 0.001, triesMin: 0, triesMax: 1.1, extraPerSecond: 0 },
  },
  {
    ...{ name: "a tenth of all answers is 503", condition: "tenth-failing", retry: "{ attempts: 4 }" },
    ...{ leadMs: 0, failedMax: 0.0005, triesMin: 1.1, triesMax: 1.13, extraPerSecond: 0 },
  },
  {
    ...{ name: "all answer 503", condition: "all-failing", retry: "{ attempts: 4 }" },
    ...{ leadMs: 0, failedMax: 1, triesMin: 0, triesMax: 1.2, extraPerSecond: 10 },
  },
];

export interface RetryRow {
  readonly round: number;
  readonly case: string;
  readonly requests: number;
  readonly failed: number;
  readonly tries: number;
  readonly elapsedMs: number;
  /** How requests failed, as the load generator calls it. */
  readonly failures: Readonly<Partial<Record<string, number>>>;
}

async function* run(options: BenchOptions): AsyncGenerator<RetryRow, void, void> {
  const seconds = options.seconds ?? secondsWanted[options.size];
  const chosen = cases.filter(
    ({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)),
  );
  for (const round of roundsOf(options, roundsWanted)) {
    for (const one of chosen) {
      options.say(`retry: round ${round}, ${one.name}`);
      yield { round, ...(await measure(one, options.clearway.command, seconds)) };
    }
  }
}

/** Services and a proxy of its own, so that nothing was learnt or saved up before. */
async function measure(
  { name, condition, retry, leadMs }: Case,
  command: readonly string[],
  seconds: number,
): Promise<Omit<RetryRow, "round">> {
  const folder = makeFolder();
  const ports: number[] = [];
  for (let index = 0; index < upstreamCount; index++) ports.push(await freePort());
  const program = [process.execPath, `${import.meta.dirname}/../upstreams.ts`, ports.join(","), condition];
  const upstreams = start({ name: "upstreams", command: program, cores: loadCores, folder });
  try {
    await waitForAnswer(`http://127.0.0.1:${ports[0]}/counts`, upstreams);
    const subject = await startSubject(clearway(command, "clearway"), {
      ...{ backendPort: ports[0]!, cores: proxyCores, template: "clearway-retry.yaml" },
      values: { retry, endpoints: ports.map((port) => `"127.0.0.1:${port}"`).join(", ") },
    });
    try {
      await serving(subject.adminPort, subject.running);
      return { case: name, ...(await loadOn(subject.port, { ports, leadMs, seconds })) };
    } finally {
      await stopSubject(subject);
    }
  } finally {
    await upstreams.stop();
    removeFolder(folder);
  }
}

/** Asked of admin: a request through the proxy would already be one. */
async function serving(adminPort: number, running: Running | null): Promise<void> {
  if (running !== null) await waitForAnswer(`http://127.0.0.1:${adminPort}/readyz`, running);
}

async function loadOn(
  port: number,
  { ports, leadMs, seconds }: { ports: readonly number[]; leadMs: number; seconds: number },
): Promise<Omit<RetryRow, "round" | "case">> {
  const load = startLoad({
    ...{ port, path: "/small", connections, requestsPerSecond },
    wanted: { status: 200, body: smallBody },
  });
  await sleep(leadMs);
  // In this order a try that falls between the two is counted, and its request is not.
  const before = leadMs === 0 ? 0 : await triesOf(ports);
  const lead = load.result();
  await sleep(seconds * 1_000);
  const result = await load.stop();
  const failed = result.failed - lead.failed;
  return {
    ...{ failed, requests: result.succeeded - lead.succeeded + failed },
    tries: (await triesOf(ports)) - before,
    elapsedMs: result.elapsedMs - lead.elapsedMs,
    failures: result.failures,
  };
}

async function triesOf(ports: readonly number[]): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/counts`, { keepalive: false });
  return ((await answer.json()) as number[]).reduce((sum, count) => sum + count, 0);
}

function report(rows: readonly RetryRow[]): Report {
  const lines = rows.map((row) => [
    row.case,
    String(row.round),
    row.requests.toLocaleString("en"),
    `${Math.round((row.requests * 1_000) / row.elapsedMs)}`,
    row.failed.toLocaleString("en"),
    percent(row.failed / row.requests),
    row.tries.toLocaleString("en"),
    (row.tries / row.requests).toFixed(3),
  ]);
  const columns = ["services", "round", "requests", "a second", "failed", "share", "tries", "per request"];
  const notes = [
    `${requestsPerSecond} requests a second on ${connections} connections; services that answer 200 take 4 to 6 ms`,
    "three of ten: attempts: 3, from the second second on; the others attempts: 4, from the first request on",
  ];
  return {
    tables: [{ title: "Retries before ten services that fail", columns, rows: lines, notes }],
    problems: rows.flatMap(problemsOf),
  };
}

function problemsOf(row: RetryRow): string[] {
  const wanted = cases.find(({ name }) => name === row.case)!;
  const extra = (wanted.extraPerSecond * row.elapsedMs) / 1_000;
  const most = wanted.triesMax * row.requests + extra;
  const least = wanted.triesMin * row.requests;
  const found: string[] = [];
  if (row.failed > wanted.failedMax * row.requests) found.push(`${row.failed} of ${row.requests} failed`);
  if (row.tries > most) found.push(`${row.tries} tries: wanted at most ${Math.floor(most)}`);
  if (row.tries < least) found.push(`${row.tries} tries: wanted at least ${Math.ceil(least)}`);
  return found.map((problem) => `retry: round ${row.round}, ${row.case}: ${problem}`);
}

export const retry: Workload<RetryRow> = {
  name: "retry",
  title: "ten services that fail, and retries",
  run,
  report,
};
