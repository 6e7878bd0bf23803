/**
 * What filters cost: each alone, several together, a user's own, beside nginx and HAProxy without any; and the same work
 * done by other proxies in their ways.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ChainCase, chainCases, sixFilters } from "../chain-cases.ts";
import { checkWork } from "../check.ts";
import { failureText } from "../machine.ts";
import { cpuBetween, loadCores, proxyCores, readCpu } from "../processes.ts";
import { differences, median, pairedRatio, spreadOf, verdictOf } from "../statistics.ts";
import { describeSpread, figure } from "../table.ts";
import {
  clearway,
  haproxy,
  makeFolder,
  nginx,
  removeFolder,
  type Subject,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, chosenCases, type Report, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";
import { besidePeers, type ChainPeersRow, peersCases, reportPeers } from "./chain-peers.ts";

const path = "/small";
const connections = 64;
const bare = "no filter";
/** At most this many times nginx's CPU for each request, without any work of this kind. */
const sixMargin = 2;
/** Of a user's filter, in microseconds. */
const ownMarginUs = 3;
const ownFilter = "a user's filter, one header";
/** Requests in memory for each list of filters, over all rounds, and as many without it. */
const callsInMemory = { full: 1_000_000, quick: 90_000 };
const roundsInMemory = 9;
/** The compiler is done with the code of a long chain only after so many requests, which no time tells. */
const warmRequests = { full: 100_000, quick: 20_000 };
const warmRunsMax = 20;

export type ChainRow = ChainPeersRow | OwnRow;

type OwnRow =
  | {
      readonly kind: "sockets";
      readonly case: string;
      readonly proxy: "nginx" | "haproxy" | "clearway";
      /** The case without these filters. */
      readonly against: string;
      readonly round: number;
      /** Null when it did the work; then the figures count. */
      readonly error: string | null;
      readonly requests: number;
      readonly failed: number;
      readonly elapsedUs: number;
      readonly cpuUs: number;
    }
  | {
      readonly kind: "memory";
      readonly case: string;
      readonly error: string | null;
      /** Nanoseconds of CPU for each request, a pair for each round. */
      readonly rounds: readonly { readonly without: number; readonly within: number }[];
    };

type SocketsRow = Extract<ChainRow, { kind: "sockets" }>;
type MemoryRow = Extract<ChainRow, { kind: "memory" }>;

async function* run(options: BenchOptions): AsyncGenerator<ChainRow, void, void> {
  const own = await chainCases();
  const chosen = new Set(
    chosenCases<{ name: string; quick: boolean }>("chain", [...own, ...peersCases], options),
  );
  const beside = peersCases.filter((one) => chosen.has(one));
  if (beside.length > 0) yield* besidePeers(beside, options);
  // Its part of a quick run of everything is over by then.
  const { endsAtMs, size } = options;
  if (size === "quick" && beside.length > 0 && endsAtMs !== null && performance.now() > endsAtMs) return;
  const mine = own.filter((one) => chosen.has(one));
  if (mine.length > 0) yield* alone(mine, options);
}

async function* alone(
  chosen: readonly ChainCase[],
  options: BenchOptions,
): AsyncGenerator<OwnRow, void, void> {
  for (const one of chosen) {
    if (one.filters === "[]") continue;
    options.say(`chain: ${one.name}, in memory`);
    yield await measureInMemory(one, options);
  }
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    const measured = measuredOf(chosen, options);
    for (const round of roundsOf(options, { full: 9, quick: 3 })) {
      for (const each of round % 2 === 1 ? measured : measured.toReversed()) {
        options.say(`chain: round ${round}: ${each.case.name}: ${each.proxy}`);
        yield await measure(each, { round, backendPort: backend.port, options });
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

interface Measured {
  readonly case: ChainCase;
  readonly proxy: SocketsRow["proxy"];
  readonly variant: Variant;
}

function measuredOf(
  chosen: readonly ChainCase[],
  { peers, clearway: { command } }: BenchOptions,
): Measured[] {
  const without = { name: bare, quick: true, filters: "[]" };
  const own = chosen.some(({ name }) => name === bare) ? chosen : [without, ...chosen];
  const others = peers.has("haproxy") ? ([nginx, haproxy] as const) : ([nginx] as const);
  return [
    ...others.map((variant) => ({ case: without, proxy: variant.name as SocketsRow["proxy"], variant })),
    ...own.map((one) => ({ case: one, proxy: "clearway" as const, variant: clearway(command, "clearway") })),
  ];
}

// ---- over real sockets ----

interface Round {
  readonly round: number;
  readonly backendPort: number;
  readonly options: BenchOptions;
}

const nothing = { requests: 0, failed: 0, elapsedUs: 0, cpuUs: 0 };

async function measure(
  { case: one, proxy, variant }: Measured,
  { round, backendPort, options }: Round,
): Promise<SocketsRow> {
  const row = { kind: "sockets", case: one.name, proxy, against: one.against ?? bare, round } as const;
  const chain = {
    template: "clearway-chain.yaml",
    values: { filters: one.filters },
    files: one.file === undefined ? {} : { "stamp.ts": `../${one.file}` },
  };
  try {
    const subject = await startSubject(variant, {
      ...{ backendPort, cores: proxyCores },
      ...(proxy === "clearway" ? chain : {}),
    });
    try {
      await serving(subject, one);
      await checkWork(variant, subject, { path, uploadBytes: 0, headers: firstHeader(one) });
      return { ...row, error: null, ...(await load(subject, one, options)) };
    } finally {
      await stopSubject(subject);
    }
  } catch (error) {
    return { ...row, ...nothing, error: failureText(error as Error) };
  }
}

/** Clearway's own word for it: a request without the header that a filter wants would be refused. */
async function serving({ origin, adminPort, running }: Subject, { header }: ChainCase): Promise<void> {
  const url = header === undefined ? `${origin}${path}` : `http://127.0.0.1:${adminPort}/readyz`;
  await waitForAnswer(url, running);
}

function firstHeader({ header }: ChainCase): Readonly<Record<string, string>> {
  return header === undefined ? {} : { [header.name]: header.values[0]! };
}

async function load({ origin, running, folder }: Subject, { header }: ChainCase, options: BenchOptions) {
  const { size, seconds } = options;
  const values = join(folder, "values");
  if (header !== undefined) writeFileSync(values, `${header.values.join("\n")}\n`);
  const inTurn = header === undefined ? {} : { inTurn: { header: header.name, file: values } };
  const asked = { url: `${origin}${path}`, connections, uploadBytes: 0, ...inTurn };
  const { pid } = running!;
  for (let runs = 0, warm = 0; runs < warmRunsMax && warm < warmRequests[size]; runs++) {
    warm += (await runWrk({ ...asked, seconds: 1 })).requests;
  }
  const before = readCpu(pid);
  const result = await runWrk({ ...asked, seconds: seconds ?? (size === "quick" ? 2 : 4) });
  const { requests, failed, elapsedUs } = result;
  return { requests, failed, elapsedUs, cpuUs: cpuBetween(before, readCpu(pid)) };
}

// ---- in memory ----

async function measureInMemory(one: ChainCase, { size, rounds }: BenchOptions): Promise<MemoryRow> {
  const lines = [`GET ${path} HTTP/1.1`, "Host: 127.0.0.1:8080", "User-Agent: wrk"];
  const { name, values } = one.header ?? { name: "Accept", values: ["*/*"] };
  const asked = {
    // Here the user's filter is given, not found.
    filters: one.filters.replaceAll("@folder@", "/nowhere").replaceAll("./stamp.ts", "stamp"),
    requests: values.map((value) => [...lines, `${name}: ${value}`, "", ""].join("\r\n")),
    file: one.file === undefined ? null : join(import.meta.dirname, "..", one.file),
    calls: Math.ceil(callsInMemory[size] / roundsInMemory),
    rounds: rounds ?? roundsInMemory,
  };
  const row = { kind: "memory", case: one.name } as const;
  try {
    const printed = await runWithInput(join(import.meta.dirname, "../filter-cost.ts"), JSON.stringify(asked));
    return { ...row, error: null, rounds: JSON.parse(printed) as MemoryRow["rounds"] };
  } catch (error) {
    return { ...row, error: failureText(error as Error), rounds: [] };
  }
}

/** A process of its own: what the compiler learned of one list of filters would slow another. */
function runWithInput(program: string, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const command = ["-c", loadCores, process.execPath, program];
    const child = execFile("taskset", command, { maxBuffer: 1 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr === "" ? error.message : stderr));
    });
    child.stdin!.end(input);
  });
}

// ---- tables ----

const columns = [
  ...["filters", "proxy", "CPU us/request", "of nginx", "rounds", "verdict"],
  ...["adds us", "rounds", "in memory adds us", "rounds", "verdict"],
];

function report(rows: readonly ChainRow[]): Report {
  const isPeers = (row: ChainRow): row is ChainPeersRow => row.kind === "peers";
  const parts = [
    reportOwn(rows.filter((row) => !isPeers(row))),
    ...(rows.some(isPeers) ? [reportPeers(rows.filter(isPeers))] : []),
  ];
  return {
    tables: parts.flatMap(({ tables }) => tables),
    problems: parts.flatMap(({ problems }) => problems),
  };
}

function reportOwn(rows: readonly OwnRow[]): Report {
  if (rows.length === 0) return { tables: [], problems: [] };
  const sockets = rows.filter((row): row is SocketsRow => row.kind === "sockets" && row.error === null);
  const memory = rows.filter((row): row is MemoryRow => row.kind === "memory" && row.error === null);
  const kinds = new Map(
    rows.map((row) => {
      const proxy = row.kind === "sockets" ? row.proxy : ("clearway" as const);
      return [`${proxy} ${row.case}`, { case: row.case, proxy }];
    }),
  );
  const order = (proxy: SocketsRow["proxy"]) => ["nginx", "haproxy", "clearway"].indexOf(proxy);
  const lines = [...kinds.values()]
    .sort((a, b) => order(a.proxy) - order(b.proxy) || Number(b.case === bare) - Number(a.case === bare))
    .map((kind) => lineOf(kind, sockets, memory));
  const rounds = Math.max(0, ...sockets.map(({ round }) => round));
  const title = `Filters, small GETs on ${connections} connections, rounds: ${rounds}`;
  return { tables: [{ title, columns, rows: lines, notes }], problems: rows.flatMap(problemsOf) };
}

function lineOf(
  { case: name, proxy }: Pick<SocketsRow, "case" | "proxy">,
  sockets: readonly SocketsRow[],
  memory: readonly MemoryRow[],
): string[] {
  const cpu = (of: SocketsRow["proxy"], wanted: string) =>
    new Map(
      sockets
        .filter((row) => row.proxy === of && row.case === wanted)
        .map((row) => [row.round, row.cpuUs / row.requests]),
    );
  const own = cpu(proxy, name);
  const ratio = proxy === "nginx" ? null : pairedRatio(own, cpu("nginx", bare));
  const isSix = name === sixFilters;
  const against = sockets.find((row) => row.proxy === proxy && row.case === name)?.against ?? bare;
  const adds = proxy !== "clearway" || name === bare ? null : differences(own, cpu("clearway", against));
  const inMemory = memory.find((row) => row.case === name)?.rounds ?? [];
  const addsInMemory =
    proxy !== "clearway" || inMemory.length === 0
      ? null
      : spreadOf(inMemory.map(({ within, without }) => (within - without) / 1000));
  return [
    name,
    proxy,
    figure(median([...own.values()])),
    ...describeSpread(ratio),
    isSix && ratio !== null ? `${verdictOf(ratio, sixMargin)} ${sixMargin}` : "",
    ...describeSpread(adds),
    ...describeSpread(addsInMemory),
    name === ownFilter && addsInMemory !== null
      ? `${verdictOf(addsInMemory, ownMarginUs)} ${ownMarginUs}`
      : "",
  ];
}

const notes = [
  "of nginx: CPU per request against nginx's without any such work, in the same round; median and range",
  "adds: against Clearway without filters in the same round, over real sockets; for jwt, without filters and with the token",
  "in memory: the same requests in turn with and without the filters, in one process without a kernel below it: what the filters' code costs; what it costs through the processor's caches shows over sockets only",
  `${sixFilters}: request-id, access-log (to a file), jwt, rate-limit, headers and retry`,
  "warmed by 100,000 requests (20,000 in a quick run), as long as the compiler needs for the code of a long chain",
  "every token new: 12,000 in turn, of which the filter knows none any more when it comes again; each is verified (ES256)",
  "hmac is not among them: a signature counts once. cache is not: it answers instead of the service",
];

function problemsOf(row: OwnRow): string[] {
  const failed = row.kind === "sockets" && row.failed > 0 ? `${row.failed} requests failed` : null;
  const problem = row.error ?? failed;
  const where =
    row.kind === "sockets" ? `round ${row.round}, ${row.case}, ${row.proxy}` : `${row.case}, in memory`;
  return problem === null ? [] : [`chain: ${where}: ${problem}`];
}

export const chain: Workload<ChainRow> = {
  ...{ name: "chain", title: "what filters cost", quickSeconds: 12 },
  run,
  report,
};
