/** Requests over HTTP/1.1, plain: CPU for each, how many a second, how long, how much memory. */
import { checkWork, countLogLines } from "../check.ts";
import { failureText } from "../machine.ts";
import type { PeerName } from "../peers.ts";
import { cpuBetween, proxyCores, readCpu, readMemory } from "../processes.ts";
import { median, pairedRatio, type Spread, verdictOf } from "../statistics.ts";
import { figure, mebibytes, percent } from "../table.ts";
import {
  clearway,
  direct,
  makeFolder,
  nginx,
  nginxDefaultBuffers,
  peerVariants,
  removeFolder,
  type Subject,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  type VariantName,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, chosenCases, type Report, roundsOf, type Workload } from "../workload.ts";
import { runWrk } from "../wrk.ts";

export interface Http1Case {
  readonly name: string;
  readonly path: string;
  readonly uploadBytes: number;
  readonly connections: number;
  /** At most this many times nginx's CPU for each request. */
  readonly margin: number;
  readonly quick: boolean;
  /** Whether every peer has a row. */
  readonly all: boolean;
  /** Of a full run, unless --rounds says another number: nine where something is to be decided. */
  readonly rounds: 3 | 9;
}

export const filtersVariant = "clearway, 3 filters";
/** With request-id, headers and access-log. */
const filtersMargin = 1.7;
const filtersCase = "small, 64 connections";

/** In all cases; the others, which are slower by far, only where `all` says so. */
const programPeers: ReadonlySet<PeerName> = new Set(["nginx", "haproxy", "envoy"]);
const quickPeers: ReadonlySet<PeerName> = new Set(["nginx", "haproxy"]);
const everyPeer: ReadonlySet<PeerName> = new Set(peerVariants.map(({ name }) => name));

/** What does not fit into nginx's default buffers; a row with those stands beside the tuned one. */
const largeBodies: ReadonlySet<string> = new Set(["/bytes/64k", "/bytes/1m"]);

function smallCase(connections: number): Http1Case {
  const name = `small, ${connections} connection${connections === 1 ? "" : "s"}`;
  const quick = connections === 64;
  return {
    name,
    path: "/small",
    uploadBytes: 0,
    connections,
    margin: 1.05,
    quick,
    all: quick,
    rounds: quick ? 9 : 3,
  };
}

function bodyCase(size: "1k" | "16k" | "64k" | "1m", label: string): Http1Case {
  const margin = size === "1k" ? 1.05 : 1;
  return {
    name: `${label} down`,
    path: `/bytes/${size}`,
    uploadBytes: 0,
    connections: 64,
    margin,
    ...{ quick: size === "64k", all: size === "64k", rounds: size === "1k" ? 3 : 9 },
  };
}

export const cases: readonly Http1Case[] = [
  ...[1, 8, 64, 512].map(smallCase),
  bodyCase("1k", "1 KiB"),
  bodyCase("16k", "16 KiB"),
  bodyCase("64k", "64 KiB"),
  bodyCase("1m", "1 MiB"),
  {
    ...{ name: "64 KiB up", path: "/upload", uploadBytes: 65_536, connections: 64 },
    ...{ margin: 1, quick: false, all: false, rounds: 3 },
  },
];

export interface Http1Row {
  readonly case: string;
  readonly variant: VariantName;
  readonly round: number;
  /** Null when it did the work; then the figures count. */
  readonly error: string | null;
  readonly requests: number;
  readonly elapsedUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly failed: number;
  /** Of all processes of the proxy; 0 in the direct row. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Lines of the access log for each request that the load generator saw answered; null without that filter. */
  readonly logShare: number | null;
}

const nothing = {
  requests: 0,
  elapsedUs: 0,
  p50Us: 0,
  p99Us: 0,
  failed: 0,
  cpuUs: 0,
  rssBytes: 0,
  pssBytes: 0,
  logShare: null,
};

async function* run(options: BenchOptions): AsyncGenerator<Http1Row, void, void> {
  const chosen = chosenCases("http1", cases, options);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 9, quick: 2 })) {
      const wanted = chosen.filter((work) => round <= (options.rounds ?? work.rounds));
      for (const work of wanted) {
        const order = variantsOf(work, options);
        for (const variant of round % 2 === 1 ? order : order.toReversed()) {
          options.say(`http1: round ${round}: ${work.name}: ${variant.name}`);
          yield await measureHttp1({ work, variant, round, backendPort: backend.port, options });
        }
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

function variantsOf(work: Http1Case, options: BenchOptions): Variant[] {
  const program = options.clearway.command;
  const quick = options.size === "quick";
  const named = work.all && !quick ? everyPeer : quick && work.path !== "/small" ? quickPeers : programPeers;
  const variants: Variant[] = [direct];
  for (const peer of peerVariants) {
    if (named.has(peer.name) && options.peers.has(peer.name)) variants.push(peer);
    if (peer === nginx && !quick && largeBodies.has(work.path)) variants.push(nginxDefaultBuffers);
  }
  variants.push(clearway(program, "clearway"));
  if (work.name === filtersCase && !quick) variants.push(clearway(program, filtersVariant));
  return variants;
}

/** What is needed to measure one variant once. */
export interface Measurement {
  readonly work: Http1Case;
  readonly variant: Variant;
  readonly round: number;
  readonly backendPort: number;
  readonly options: BenchOptions;
}

export async function measureHttp1(measurement: Measurement): Promise<Http1Row> {
  const { work, variant, round, backendPort } = measurement;
  const row = { case: work.name, variant: variant.name, round };
  try {
    const subject = await startSubject(variant, { backendPort, cores: proxyCores });
    try {
      await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
      await checkWork(variant, subject, work);
      return { ...row, error: null, ...(await load(measurement, subject)) };
    } finally {
      await stopSubject(subject);
    }
  } catch (error) {
    return { ...row, ...nothing, error: failureText(error as Error) };
  }
}

async function load({ work, variant, options }: Measurement, subject: Subject) {
  const seconds = options.seconds ?? (options.size === "quick" ? 1 : 4);
  const warmSeconds = options.size === "quick" ? 1 : 2;
  const url = `http://127.0.0.1:${subject.port}${work.path}`;
  const { connections, uploadBytes } = work;
  const pid = subject.running?.pid ?? null;
  const warm = await runWrk({ url, connections, uploadBytes, seconds: warmSeconds });
  const before = pid === null ? null : readCpu(pid);
  const { bytes: _, ...figures } = await runWrk({ url, connections, uploadBytes, seconds });
  const cpuUs = pid === null || before === null ? 0 : cpuBetween(before, readCpu(pid));
  const memory = pid === null ? { rssBytes: 0, pssBytes: 0 } : readMemory(pid);
  const requests = warm.requests + figures.requests;
  const hasLog = variant.name === filtersVariant;
  const logShare = hasLog ? (await countLogLines(subject, requests)) / requests : null;
  return { ...figures, cpuUs, ...memory, logShare };
}

const columns = [
  "work",
  "proxy",
  "requests/s",
  "CPU us/request",
  "of nginx",
  "rounds",
  "verdict",
  "p50 us",
  "p99 us",
  "RSS MiB",
  "Pss MiB",
  "core",
];

function report(rows: readonly Http1Row[]): Report {
  const problems: string[] = [];
  const lines: string[][] = [];
  for (const work of cases) {
    const ofCase = rows.filter((row) => row.case === work.name);
    const good = ofCase.filter((row) => row.error === null);
    for (const variant of new Set(ofCase.map((row) => row.variant))) {
      lines.push(lineOf(work, variant, good));
      const wrong = ofCase.filter((row) => row.variant === variant && (row.error !== null || row.failed > 0));
      for (const row of wrong) {
        const what = row.error ?? `${row.failed} requests failed of ${row.requests}`;
        problems.push(`${work.name}: ${variant}: round ${row.round}: ${what}`);
      }
    }
  }
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  return {
    tables: [{ title: `HTTP/1.1, rounds: ${rounds}`, columns, rows: lines, notes: notesOf(rows) }],
    problems,
  };
}

function lineOf(work: Http1Case, variant: VariantName, rows: readonly Http1Row[]): string[] {
  const mine = rows.filter((row) => row.variant === variant);
  const middle = (read: (row: Http1Row) => number) => median(mine.map(read));
  const hasProxy = variant !== "direct";
  const ratio =
    hasProxy && variant !== "nginx" ? pairedRatio(cpuByRound(mine), cpuByRound(rows, "nginx")) : null;
  return [
    work.name,
    variant,
    figure(middle((row) => (row.requests * 1e6) / row.elapsedUs)),
    hasProxy ? figure(middle((row) => row.cpuUs / row.requests)) : "-",
    ...describeRatio(ratio, marginOf(work, variant)),
    figure(middle((row) => row.p50Us)),
    figure(middle((row) => row.p99Us)),
    hasProxy ? mebibytes(middle((row) => row.rssBytes)) : "-",
    hasProxy ? mebibytes(middle((row) => row.pssBytes)) : "-",
    hasProxy ? percent(middle((row) => row.cpuUs / row.elapsedUs)) : "-",
  ];
}

function cpuByRound(rows: readonly Http1Row[], variant?: VariantName): Map<number, number> {
  const chosen = rows.filter((row) => variant === undefined || row.variant === variant);
  return new Map(chosen.map((row) => [row.round, row.cpuUs / row.requests]));
}

/** Null for a peer: only Clearway has something to keep. */
function marginOf(work: Http1Case, variant: VariantName): number | null {
  if (variant === filtersVariant) return filtersMargin;
  return variant === "clearway" ? work.margin : null;
}

function describeRatio(ratio: Spread | null, margin: number | null): [string, string, string] {
  if (ratio === null) return ["-", "-", ""];
  const range = `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`;
  return [ratio.median.toFixed(2), range, margin === null ? "" : `${verdictOf(ratio, margin)} ${margin}`];
}

function notesOf(rows: readonly Http1Row[]): string[] {
  const shares = rows.flatMap((row) => row.logShare ?? []);
  const logged =
    shares.length === 0
      ? []
      : [
          `the access log had ${(Math.min(...shares) * 100).toFixed(1)} % of the lines, or more, two seconds after the load`,
        ];
  return [
    "medians of all rounds, of which a full run has three where nothing is to be decided; of nginx: the CPU per request over nginx's of the same round, its median and its range",
    "undecided: rounds lie on both sides of the margin, or there are fewer than three",
    "nginx has larger buffers than its default ones; in a full run large bodies show both",
    "CPU, RSS and Pss are sums over all processes of the proxy; core: how busy it kept its one core",
    `${filtersVariant}: request-id, headers and access-log (to a file) in Clearway; the peers do none of it`,
    ...describeCrowd(rows),
    ...logged,
  ];
}

/** A proxy that collapses under many connections spends more on each request; requests/s also shows the load's limits. */
function describeCrowd(rows: readonly Http1Row[]): string[] {
  const good = rows.filter((row) => row.error === null && row.variant !== "direct");
  const parts = [...new Set(good.map((row) => row.variant))].flatMap((variant) => {
    const [many, few] = [512, 64].map((connections) =>
      cpuByRound(good.filter((row) => row.case === smallCase(connections).name && row.variant === variant)),
    );
    const ratio = pairedRatio(many!, few!);
    return ratio === null ? [] : `${variant} ${ratio.median.toFixed(2)}`;
  });
  return parts.length === 0
    ? []
    : [`CPU per request with 512 connections over that with 64: ${parts.join(", ")}`];
}

export const http1: Workload<Http1Row> = {
  ...{ name: "http1", title: "requests over HTTP/1.1", quickSeconds: 42 },
  run,
  report,
};
