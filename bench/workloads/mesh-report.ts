/** What the rows of `mesh` say. */
import type { PairName } from "../node-pairs.ts";
import type { Memory } from "../processes.ts";
import { median, pairedRatio, type Spread, verdictOf } from "../statistics.ts";
import { describeSpread, figure, mebibytes, percent } from "../table.ts";
import type { Report } from "../workload.ts";
import type { WrkResult } from "../wrk.ts";

/** At most this many times the CPU of nginx's pair for each request. */
export const margin = 0.8;

/** The one that the target is about. */
export const smallMeshCase = "small, 64 connections";

export interface MeshRow extends WrkResult, Memory {
  readonly case: string;
  readonly variant: PairName;
  readonly round: number;
  /** Null when it did the work; then the figures count. */
  readonly error: string | null;
  /** What a handshake with the service's node agreed on: version and cipher. */
  readonly agreed: string;
  /** Of all processes of both nodes. */
  readonly cpuUs: number;
  /** At which requests were due; null at saturation. */
  readonly requestsPerSecond: number | null;
}

export const nothing = {
  ...{ requests: 0, elapsedUs: 0, bytes: 0, p50Us: 0, p99Us: 0, failed: 0 },
  ...{ cpuUs: 0, rssBytes: 0, pssBytes: 0, requestsPerSecond: null, agreed: "" },
} as const;

const columns = [
  ...["work", "pair", "requests/s", "CPU us/request", "of nginx", "rounds", "verdict"],
  ...["p50 us", "p99 us", "Pss MiB", "core"],
];

export function report(rows: readonly MeshRow[]): Report {
  const lines: string[][] = [];
  for (const work of new Set(rows.map((row) => row.case))) {
    const ofCase = rows.filter((row) => row.case === work);
    for (const variant of new Set(ofCase.map((row) => row.variant))) {
      lines.push([
        work,
        ...lineOf(
          variant,
          ofCase.filter((row) => row.error === null),
        ),
      ]);
    }
  }
  const agreed = new Set(rows.flatMap((row) => (row.error === null ? row.agreed : [])));
  const problems = rows.flatMap(problemOf);
  if (agreed.size > 1) problems.push(`the rows cannot be compared: ${[...agreed].join(", ")}`);
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const notes = [
    `caller, plain HTTP/1.1, a node, mTLS (${[...agreed].join(", ")}, P-256), a node, plain HTTP/1.1, service; HTTP/1.1 between the two unless it says HTTP/2`,
    "sidecars: two services of a mesh, each with its sidecar, certificates from a coordinator, the identity checked on both ends and by a policy; the other pairs check certificates",
    "medians of all rounds; of nginx: the CPU per request over that of nginx's pair in the same round, its median and its range",
    "CPU and Pss are sums over all processes of both nodes, which share one core; core: how busy it was",
    "at a fixed rate: half of what nginx's pair answers at saturation, due at even distances (open loop), latencies from when a request was due; else closed loop",
  ];
  return { tables: [{ title: `Two nodes, mTLS, rounds: ${rounds}`, columns, rows: lines, notes }], problems };
}

function problemOf({ case: work, variant, round, error, failed, requests }: MeshRow): string[] {
  if (error === null && failed === 0) return [];
  return [`${work}: ${variant}: round ${round}: ${error ?? `${failed} requests failed of ${requests}`}`];
}

function cpuByRound(rows: readonly MeshRow[], variant: PairName): Map<number, number> {
  const mine = rows.filter((row) => row.variant === variant);
  return new Map(mine.map((row) => [row.round, row.cpuUs / row.requests]));
}

function lineOf(variant: PairName, rows: readonly MeshRow[]): string[] {
  const mine = rows.filter((row) => row.variant === variant);
  const middle = (read: (row: MeshRow) => number) => median(mine.map(read));
  const ratio =
    variant === "nginx" ? null : pairedRatio(cpuByRound(rows, variant), cpuByRound(rows, "nginx"));
  return [
    variant,
    figure(middle((row) => (row.requests * 1e6) / row.elapsedUs)),
    figure(middle((row) => row.cpuUs / row.requests)),
    ...describeSpread(ratio),
    ratio === null ? "" : verdictText(variant, ratio),
    figure(middle((row) => row.p50Us)),
    figure(middle((row) => row.p99Us)),
    mebibytes(middle((row) => row.pssBytes)),
    percent(middle((row) => row.cpuUs / row.elapsedUs)),
  ];
}

/** Only Clearway has something to keep, and nginx does nothing like a policy. */
function verdictText(variant: PairName, ratio: Spread): string {
  return variant === "clearway" ? `${verdictOf(ratio, margin)} ${margin}` : "";
}
