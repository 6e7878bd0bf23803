/** Ten services, one slow and one failing: who spares its callers both? */
import { setTimeout as sleep } from "node:timers/promises";
import { type LoadResult, startLoad } from "../load.ts";
import { loadCores, proxyCores, start } from "../processes.ts";
import { median, pairedRatio, verdictOf } from "../statistics.ts";
import { figure, percent } from "../table.ts";
import {
  clearway,
  freePort,
  makeFolder,
  nginx,
  peerVariants,
  removeFolder,
  smallBody,
  startSubject,
  stopSubject,
  type Variant,
  waitForAnswer,
} from "../variants.ts";
import { type BenchOptions, type Report, roundsOf, type Workload } from "../workload.ts";

const roundsWanted = { full: 9, quick: 1 };
const secondsWanted = { full: 10, quick: 2 };
const upstreamCount = 10;
const warmMs = 2_000;
const connections = 64;
const requestsPerSecond = 500;
/** Clearway's p99 over that of nginx. */
const margin = 0.5;

type Balancer = "clearway" | "nginx" | "haproxy" | "caddy" | "envoy";

/** The file in peers/, how one service is named in it, what stands between two, and the policy's name. */
const ways: Readonly<
  Record<Balancer, { template: string; server: (port: number) => string; between: string; policy: string }>
> = {
  clearway: {
    ...{ template: "clearway-balance.yaml", between: ", ", policy: "least-latency" },
    server: (port) => `"127.0.0.1:${port}"`,
  },
  nginx: {
    ...{ template: "nginx-balance.conf", between: "\n", policy: "least_conn" },
    server: (port) => `    server 127.0.0.1:${port} max_fails=1 fail_timeout=10s;`,
  },
  haproxy: {
    ...{ template: "haproxy-balance.cfg", between: "\n", policy: "leastconn" },
    server: (port) => `  server s${port} 127.0.0.1:${port}`,
  },
  caddy: {
    ...{ template: "caddy-balance.caddyfile", between: " ", policy: "least_conn" },
    server: (port) => `127.0.0.1:${port}`,
  },
  envoy: {
    ...{ template: "envoy-balance.yaml", between: "\n", policy: "LEAST_REQUEST" },
    server: (port) =>
      `              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`,
  },
};

export interface BalanceRow extends LoadResult {
  readonly round: number;
  readonly variant: Balancer;
  /** Parts of all tries, those of requests that were tried again among them. */
  readonly slowShare: number;
  readonly failingShare: number;
}

async function* run(options: BenchOptions): AsyncGenerator<BalanceRow, void, void> {
  const seconds = options.seconds ?? secondsWanted[options.size];
  const peers = peerVariants.filter(({ name }) => name in ways && options.peers.has(name));
  const own = clearway(options.clearway.command, "clearway");
  const variants = options.size === "quick" ? [own, nginx] : [own, ...peers];
  const folder = makeFolder();
  const ports: number[] = [];
  for (let index = 0; index < upstreamCount; index++) ports.push(await freePort());
  const command = [process.execPath, `${import.meta.dirname}/../upstreams.ts`, ports.join(",")];
  const upstreams = start({ name: "upstreams", command, cores: loadCores, folder });
  try {
    await waitForAnswer(`http://127.0.0.1:${ports[2]}/counts`, upstreams);
    for (const round of roundsOf(options, roundsWanted)) {
      for (const variant of round % 2 === 1 ? variants : variants.toReversed()) {
        options.say(`balance: round ${round}, ${variant.name}`);
        yield await measure(variant, { round, ports, seconds });
      }
    }
  } finally {
    await upstreams.stop();
    removeFolder(folder);
  }
}

/** A fresh process, which learns in the warm-up who is slow and who fails. */
async function measure(
  variant: Variant,
  { round, ports, seconds }: { round: number; ports: readonly number[]; seconds: number },
): Promise<BalanceRow> {
  const name = variant.name as Balancer;
  const { template, server, between } = ways[name];
  const servers = ports.map(server).join(between);
  const subject = await startSubject(variant, {
    ...{ backendPort: ports[0]!, cores: proxyCores, template },
    values: { servers, endpoints: servers },
  });
  try {
    await waitForAnswer(`http://127.0.0.1:${subject.port}/small`, subject.running);
    const load = () =>
      startLoad({
        ...{ port: subject.port, path: "/small", connections, requestsPerSecond },
        wanted: { status: 200, body: smallBody },
      });
    const warm = load();
    await sleep(warmMs);
    await warm.stop();
    const before = await countsOf(ports);
    const measured = load();
    await sleep(seconds * 1_000);
    const result = await measured.stop();
    const after = await countsOf(ports);
    const got = after.map((count, index) => count - before[index]!);
    const total = got.reduce((sum, count) => sum + count, 0);
    return { round, variant: name, slowShare: got[0]! / total, failingShare: got[1]! / total, ...result };
  } finally {
    await stopSubject(subject);
  }
}

async function countsOf(ports: readonly number[]): Promise<number[]> {
  const answer = await fetch(`http://127.0.0.1:${ports[2]}/counts`, { keepalive: false });
  return (await answer.json()) as number[];
}

function report(rows: readonly BalanceRow[]): Report {
  const names = [...new Set(rows.map(({ variant }) => variant))];
  const lines = names.map((variant) => {
    const mine = rows.filter((row) => row.variant === variant);
    const middle = (read: (row: BalanceRow) => number) => median(mine.map(read));
    const sum = (read: (row: BalanceRow) => number) => mine.reduce((total, row) => total + read(row), 0);
    return [
      `${variant}, ${ways[variant].policy}`,
      sum((row) => row.succeeded).toLocaleString("en"),
      String(sum((row) => row.failed)),
      figure(middle((row) => row.latencyMs.p50)),
      figure(middle((row) => row.latencyMs.p99)),
      figure(Math.max(...mine.map((row) => row.latencyMs.max))),
      percent(middle((row) => row.slowShare)),
      percent(middle((row) => row.failingShare)),
    ];
  });
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const columns = ["proxy", "requests", "failed", "p50 ms", "p99 ms", "max ms", "to slow", "to failing"];
  const title = `Ten services, one slow and one failing, rounds: ${rounds}`;
  return { tables: [{ title, columns, rows: lines, notes: notesOf(rows) }], problems: problemsOf(rows) };
}

function notesOf(rows: readonly BalanceRow[]): string[] {
  const p99 = (variant: BalanceRow["variant"]) =>
    new Map(rows.filter((row) => row.variant === variant).map((row) => [row.round, row.latencyMs.p99]));
  const ratio = pairedRatio(p99("clearway"), p99("nginx"));
  const notes = [
    `${requestsPerSecond} requests a second, whatever the answers take; services answer in 4 to 6 ms, the slow one in 40 to 60 ms, the failing one 503 at once`,
    "p50, p99 and max are of requests that were answered 200; the others are failed. All but Caddy try again what was answered 503, and all take the failing one out for 10 s",
    "to slow, to failing: the parts of all tries, after a warm-up of 2 s",
  ];
  if (ratio !== null) {
    const range = `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`;
    notes.push(
      `p99 of Clearway over that of nginx: ${ratio.median.toFixed(2)} (${range}), ${verdictOf(ratio, margin)} ${margin}`,
    );
  }
  return notes;
}

function problemsOf(rows: readonly BalanceRow[]): string[] {
  return rows
    .filter((row) => row.succeeded === 0)
    .map(
      (row) =>
        `balance: round ${row.round}, ${row.variant}: no request succeeded: ${row.examples.join("; ")}`,
    );
}

export const balance: Workload<BalanceRow> = {
  ...{ name: "balance", title: "ten services, one slow and one failing", quickSeconds: 12 },
  run,
  report,
};
