/**
 * The part of `chain` in which each proxy does the same extra work, by what it has for that: a header set by a script, a
 * permission asked for, a limit.
 */
import { checkWork } from "../check.ts";
import { failureText } from "../machine.ts";
import type { PeerName } from "../peers.ts";
import { cpuBetween, proxyCores, readCpu } from "../processes.ts";
import { differences, median, pairedRatio } from "../statistics.ts";
import { describeSpread, figure } from "../table.ts";
import {
  clearway,
  makeFolder,
  peerVariants,
  removeFolder,
  type Subject,
  startBackend,
  startSubject,
  stopSubject,
  type Variant,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf } from "../workload.ts";
import { runWrk } from "../wrk.ts";

const path = "/small";
const connections = 64;
const plain = "no extra work";

type Proxy = "nginx" | "haproxy" | "envoy" | "clearway";

interface Way {
  readonly template: string;
  /** Another file of its folder, as `StartOptions.files`. */
  readonly files?: Readonly<Record<string, string>>;
  /** A header of the answer that only the extra work leaves there. */
  readonly trace: string;
}

export interface PeersCase {
  readonly name: string;
  readonly quick: boolean;
  readonly ways: Readonly<Partial<Record<Proxy, Way>>>;
}

export const peersCases: readonly PeersCase[] = [
  {
    ...{ name: "a script sets a header", quick: true },
    ways: {
      haproxy: { template: "haproxy-lua.cfg", files: { "stamp.lua": "stamp.lua" }, trace: "x-bench" },
      envoy: { template: "envoy-lua.yaml", trace: "x-bench" },
      clearway: {
        template: "clearway-script.yaml",
        files: { "stamp.ts": "../filters/stamp.ts" },
        trace: "x-bench",
      },
    },
  },
  {
    ...{ name: "a service is asked for permission", quick: false },
    ways: {
      nginx: { template: "nginx-permission.conf", trace: "x-bench" },
      clearway: { template: "clearway-permission.yaml", trace: "x-bench" },
    },
  },
  {
    ...{ name: "a limit for each address", quick: false },
    ways: {
      nginx: { template: "nginx-limit.conf", trace: "x-bench" },
      clearway: { template: "clearway-limit.yaml", trace: "ratelimit" },
    },
  },
];

export interface ChainPeersRow {
  readonly kind: "peers";
  /** The name of the case, or that there is none. */
  readonly work: string;
  readonly proxy: Proxy;
  readonly round: number;
  /** Null when it did the work; then the figures count. */
  readonly error: string | null;
  readonly requests: number;
  readonly failed: number;
  readonly elapsedUs: number;
  readonly p99Us: number;
  readonly cpuUs: number;
}

interface Measured {
  readonly work: string;
  readonly proxy: Proxy;
  readonly variant: Variant;
  readonly way: Way | null;
}

export async function* besidePeers(
  chosen: readonly PeersCase[],
  options: BenchOptions,
): AsyncGenerator<ChainPeersRow, void, void> {
  const measured = measuredOf(chosen, options);
  const folder = makeFolder();
  const backend = await startBackend(folder);
  try {
    for (const round of roundsOf(options, { full: 9, quick: 1 })) {
      for (const each of round % 2 === 1 ? measured : measured.toReversed()) {
        options.say(`chain: round ${round}: ${each.work}: ${each.proxy}`);
        yield await measure(each, { round, backendPort: backend.port, options });
      }
    }
  } finally {
    await backend.running.stop();
    removeFolder(folder);
  }
}

/** Each case stands beside the same proxies without it. */
function measuredOf(chosen: readonly PeersCase[], options: BenchOptions): Measured[] {
  const { command } = options.clearway;
  const left = options.size === "quick" ? "envoy" : null;
  const has = (name: string) => name === "clearway" || (options.peers.has(name as PeerName) && name !== left);
  const variantOf = (proxy: Proxy) =>
    proxy === "clearway" ? clearway(command, "clearway") : peerVariants.find(({ name }) => name === proxy)!;
  const of = (ways: PeersCase["ways"]) => (Object.keys(ways) as Proxy[]).filter(has);
  const bare = [...new Set(chosen.flatMap(({ ways }) => of(ways)))];
  return [
    ...bare.map((proxy) => ({ work: plain, proxy, variant: variantOf(proxy), way: null })),
    ...chosen.flatMap(({ name, ways }) =>
      of(ways).map((proxy) => ({ work: name, proxy, variant: variantOf(proxy), way: ways[proxy]! })),
    ),
  ];
}

interface Round {
  readonly round: number;
  readonly backendPort: number;
  readonly options: BenchOptions;
}

const nothing = { requests: 0, failed: 0, elapsedUs: 0, p99Us: 0, cpuUs: 0 };

async function measure(
  { work, proxy, variant, way }: Measured,
  { round, backendPort, options }: Round,
): Promise<ChainPeersRow> {
  const row = { kind: "peers", work, proxy, round } as const;
  const asked = way === null ? {} : { template: way.template, files: way.files ?? {} };
  try {
    const subject = await startSubject(variant, { backendPort, cores: proxyCores, ...asked });
    try {
      await waitForAnswer(`${subject.origin}${path}`, subject.running);
      await checkWork(variant, subject, { path, uploadBytes: 0 });
      if (way !== null) await checkTrace(subject, way.trace);
      return { ...row, error: null, ...(await load(subject, options)) };
    } finally {
      await stopSubject(subject);
    }
  } catch (error) {
    return { ...row, ...nothing, error: failureText(error as Error) };
  }
}

async function checkTrace({ origin }: Subject, name: string): Promise<void> {
  const answer = await fetch(`${origin}${path}`, { keepalive: false });
  await answer.arrayBuffer();
  if (!answer.headers.has(name)) throw new Error(`the extra work was not done: the answer has no ${name}`);
}

async function load({ origin, running }: Subject, { size, seconds }: BenchOptions) {
  const asked = { url: `${origin}${path}`, connections, uploadBytes: 0 };
  const { pid } = running!;
  await runWrk({ ...asked, seconds: size === "quick" ? 1 : 2 });
  const before = readCpu(pid);
  const { requests, failed, elapsedUs, p99Us } = await runWrk({
    ...asked,
    seconds: seconds ?? (size === "quick" ? 1 : 4),
  });
  return { requests, failed, elapsedUs, p99Us, cpuUs: cpuBetween(before, readCpu(pid)) };
}

const columns = [
  ...["extra work", "proxy", "requests/s", "CPU us/request", "adds us", "of without", "rounds", "p99 us"],
];

export function reportPeers(rows: readonly ChainPeersRow[]): Report {
  const good = rows.filter(({ error }) => error === null);
  const kinds = [...new Map(rows.map((row) => [`${row.work} ${row.proxy}`, row])).values()];
  const order = [plain, ...peersCases.map(({ name }) => name)];
  const lines = kinds
    .toSorted((a, b) => order.indexOf(a.work) - order.indexOf(b.work))
    .map(({ work, proxy }) => lineOf(good, work, proxy));
  const rounds = Math.max(0, ...rows.map(({ round }) => round));
  const notes = [
    `small GETs on ${connections} connections; medians of all rounds; adds, of without: CPU per request against the same proxy without extra work in the same round`,
    "a script: HAProxy's and Envoy's in Lua, Clearway's a user's own filter in TypeScript; permission: nginx's auth_request, Clearway's ext-authz; a limit: nginx's limit_req, Clearway's rate-limit, which also tells callers what is left",
  ];
  const problems = rows.flatMap(({ work, proxy, round, error, failed }) => {
    if (error === null && failed === 0) return [];
    return [`chain: round ${round}, ${work}, ${proxy}: ${error ?? `${failed} requests failed`}`];
  });
  const title = `The same extra work in each proxy, rounds: ${rounds}`;
  return { tables: [{ title, columns, rows: lines, notes }], problems };
}

function lineOf(rows: readonly ChainPeersRow[], work: string, proxy: Proxy): string[] {
  const mine = rows.filter((row) => row.work === work && row.proxy === proxy);
  const bare = rows.filter((row) => row.work === plain && row.proxy === proxy);
  const middle = (read: (row: ChainPeersRow) => number) => figure(median(mine.map(read)));
  const [own, without] = [cpuByRound(mine), cpuByRound(bare)];
  const ratio = work === plain ? null : pairedRatio(own, without);
  const adds = work === plain ? null : differences(own, without);
  return [
    work,
    proxy,
    middle((row) => (row.requests * 1e6) / row.elapsedUs),
    middle((row) => row.cpuUs / row.requests),
    adds === null ? "-" : adds.median.toFixed(1),
    ...describeSpread(ratio),
    middle((row) => row.p99Us),
  ];
}

function cpuByRound(rows: readonly ChainPeersRow[]): Map<number, number> {
  return new Map(rows.map((row) => [row.round, row.cpuUs / row.requests]));
}
