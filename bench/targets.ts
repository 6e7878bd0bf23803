/** What Clearway is measured against: each row a ratio to a peer in the same run, with the limit that was set for it. */
import type { PeerName } from "./peers.ts";
import type { KeptRows } from "./results.ts";
import { median, pairedRatio, type Spread, verdictOf } from "./statistics.ts";
import { describeSpread, type Table } from "./table.ts";
import type { Http1Row } from "./workloads/http1.ts";
import { type LatencyRow, latencyRatio, margins, type SaturationRow } from "./workloads/latency-report.ts";
import { type MeshRow, margin as meshMargin, smallMeshCase } from "./workloads/mesh-report.ts";
import { type ReloadRow, reloadRatio } from "./workloads/reload-report.ts";
import type { TlsRow } from "./workloads/tls.ts";

/** Fewer rounds decide nothing here. */
const roundsWanted = 9;
const typescript: readonly PeerName[] = ["http-proxy-3", "@fastify/http-proxy", "hono proxy()"];

/** Why Clearway needs more where it does; told with a row that is over its limit. */
const reasons = {
  small:
    "our own code and Bun's are 4 of some 18 us, the rest are the same four system calls; docs/performance.md says where they go",
  tls: "what a request without TLS costs more is in it; encrypting itself is 1.4 us of Bun's own code",
  mesh: "the two nodes speak HTTP/1.1: a system call and a TLS record for each message, where HTTP/2 has one for many",
  bodies: "Bun copies what a socket received into a buffer of its own before our code sees it",
  latency:
    "one thread serves and collects garbage: pauses of 0.3 to 2 ms hold up all requests that are due meanwhile; docs/performance.md, The slowest hundredth",
  reload:
    "the supervisor reads and checks each config on the worker's core, some 6 ms of CPU; docs/performance.md, A reload",
} as const;

export interface Target {
  readonly work: string;
  readonly of: string;
  readonly ratio: Spread;
  /** At most this. */
  readonly limit: number;
  readonly verdict: "within" | "over" | "undecided";
  readonly reason: string;
}

type Results = ReadonlyMap<string, KeptRows>;

/** Those that the rows are there for. */
export function targetsOf(results: Results): Target[] {
  const http1 = (results.get("http1")?.rows ?? []) as readonly Http1Row[];
  const tls = (results.get("tls")?.rows ?? []) as readonly TlsRow[];
  const mesh = (results.get("mesh")?.rows ?? []) as readonly MeshRow[];
  const small = { case: "small, 64 connections", reason: "small" } as const;
  const name = "CPU per request, small GET, 64 connections";
  const overTls = { case: "small, kept, 64 connections", reason: "tls" } as const;
  return [
    ...cpuTarget(http1, { ...small, work: name, peer: "nginx", limit: 1.05 }),
    ...cpuTarget(http1, { ...small, work: name, peer: "haproxy", limit: 1 }),
    ...cpuTarget(http1, { ...small, work: name, peer: "envoy", limit: 0.35 }),
    ...cpuTarget(tls, { ...overTls, work: "CPU per request, the same over TLS", peer: "nginx", limit: 1 }),
    ...cpuTarget(mesh, {
      ...{ case: smallMeshCase, work: "CPU per request, two nodes with mTLS between them" },
      ...{ peer: "nginx", limit: meshMargin, reason: "mesh" },
    }),
    ...["16 KiB", "64 KiB", "1 MiB"].flatMap((size) =>
      cpuTarget(http1, {
        ...{ case: `${size} down`, work: `CPU per request, ${size} down` },
        ...{ peer: "nginx", limit: 1, reason: "bodies" },
      }),
    ),
    ...latencyTargets(results.get("latency")),
    ...reloadTargets(results.get("reload")),
    ...cpuTarget(http1, {
      ...{ ...small, work: "CPU per request, small GET, the best TypeScript proxy" },
      ...{ peer: bestOf(http1, small.case), limit: 0.5 },
    }),
  ];
}

interface Cost {
  readonly case: string;
  readonly variant: string;
  readonly round: number;
  readonly error: string | null;
  readonly cpuUs: number;
  readonly requests: number;
}

function cpuByRound(rows: readonly Cost[], of: { case: string; variant: string }): Map<number, number> {
  const mine = rows.filter((row) => row.case === of.case && row.variant === of.variant && row.error === null);
  return new Map(mine.map((row) => [row.round, row.cpuUs / row.requests]));
}

interface CpuTarget {
  readonly case: string;
  readonly work: string;
  readonly peer: PeerName | null;
  readonly limit: number;
  readonly reason: keyof typeof reasons;
}

function cpuTarget(rows: readonly Cost[], { case: name, work, peer, limit, reason }: CpuTarget): Target[] {
  if (peer === null) return [];
  const own = cpuByRound(rows, { case: name, variant: "clearway" });
  const ratio = pairedRatio(own, cpuByRound(rows, { case: name, variant: peer }));
  return ratio === null ? [] : [target({ work, of: peer, ratio, limit, reason: reasons[reason] })];
}

function bestOf(rows: readonly Cost[], name: string): PeerName | null {
  const cost = (peer: PeerName) => median([...cpuByRound(rows, { case: name, variant: peer }).values()]);
  const found = typescript.filter((peer) => !Number.isNaN(cost(peer)));
  return found.sort((a, b) => cost(a) - cost(b))[0] ?? null;
}

function latencyTargets(kept: KeptRows | undefined): Target[] {
  const rows = (kept?.rows ?? []) as readonly (LatencyRow | SaturationRow)[];
  const measured = rows.filter((row): row is LatencyRow => row.kind === "latency");
  return (["p50Us", "p99Us"] as const).flatMap((quantile) => {
    const found = latencyRatio(measured, quantile);
    if (found === null) return [];
    const work = `${quantile.slice(0, 3)} at half of the fastest peer's rate, the best peer`;
    return [
      target({ work, of: found.peer, ratio: found.ratio, limit: margins[quantile], reason: reasons.latency }),
    ];
  });
}

function reloadTargets(kept: KeptRows | undefined): Target[] {
  const ratio = reloadRatio((kept?.rows ?? []) as readonly ReloadRow[], "clearway");
  const work = "p99 while the config is replaced every 200 ms";
  return ratio === null
    ? []
    : [target({ work, of: "itself without", ratio, limit: 1.25, reason: reasons.reload })];
}

function target(of: Omit<Target, "verdict">): Target {
  const decided = of.ratio.rounds >= roundsWanted;
  return { ...of, verdict: decided ? verdictOf(of.ratio, of.limit) : "undecided" };
}

export function targetsTable(results: Results): Table {
  const targets = targetsOf(results);
  const over = targets.filter(({ verdict }) => verdict === "over");
  const rows = targets.map(({ work, of, ratio, limit, verdict }) => [
    work,
    of,
    ...describeSpread(ratio),
    String(ratio.rounds),
    String(limit),
    verdict,
  ]);
  return {
    title: "Speed to reach",
    columns: ["work", "of", "ratio", "range", "rounds", "at most", "verdict"],
    rows,
    notes: [
      "ratios of Clearway to the peer in the same round, their median and range",
      `within and over: the limit lies outside the interval that holds the median with 95 % (of nine rounds, without the lowest and the highest); undecided: inside it, or there are fewer than ${roundsWanted} rounds`,
      ...over.map(({ work, of, reason }) => `${work}, of ${of}: ${reason}`),
    ],
  };
}
