/** What the rows of `latency` say. */
import type { OpenLoopResult } from "../open-loop.ts";
import { median, pairedRatio, type Spread, verdictOf } from "../statistics.ts";
import { describeSpread, figure, percent } from "../table.ts";
import type { VariantName } from "../variants.ts";
import type { Report } from "../workload.ts";

export const connections = 64;
/** Half of what the fastest peer can answer: where proxies are compared. */
export const middleShare = 0.5;
/** Over the best peer's of the same round. */
export const margins = { p50Us: 1, p99Us: 1.5 } as const;

/** What a closed loop got out of a peer. */
export interface SaturationRow {
  readonly kind: "saturation";
  readonly variant: VariantName;
  readonly round: number;
  readonly requestsPerSecond: number;
}

export interface LatencyRow extends OpenLoopResult {
  readonly kind: "latency";
  readonly variant: VariantName;
  readonly round: number;
  /** Of the fastest peer's rate at saturation; 0 when the proxy did not do its work. */
  readonly share: number;
  readonly requestsPerSecond: number;
}

type Quantile = keyof typeof margins;

/** Clearway's over that of the peer whose median is the lowest, in pairs of one round; null when there is none. */
export function latencyRatio(
  rows: readonly LatencyRow[],
  quantile: Quantile,
): { peer: VariantName; ratio: Spread } | null {
  const middle = rows.filter(({ share }) => share === middleShare);
  const of = (name: VariantName) =>
    new Map(middle.filter(({ variant }) => variant === name).map((row) => [row.round, row[quantile]]));
  const peers = new Set(middle.map(({ variant }) => variant).filter((name) => isPeer(name)));
  const [best] = [...peers].sort((a, b) => median([...of(a).values()]) - median([...of(b).values()]));
  const ratio = best === undefined ? null : pairedRatio(of("clearway"), of(best));
  return best === undefined || ratio === null ? null : { peer: best, ratio };
}

function isPeer(name: VariantName): boolean {
  return name !== "direct" && !name.startsWith("clearway");
}

export function report(rows: readonly (LatencyRow | SaturationRow)[]): Report {
  const measured = rows.filter((row) => row.kind === "latency");
  const saturations = rows.filter((row) => row.kind === "saturation");
  const lines: string[][] = [];
  for (const share of new Set(measured.map((row) => row.share).filter((share) => share > 0))) {
    for (const variant of new Set(measured.map((row) => row.variant))) {
      lines.push(lineOf(measured.filter((row) => row.share === share && row.variant === variant)));
    }
  }
  const rounds = Math.max(0, ...measured.map(({ round }) => round));
  const title = `Latencies at fixed rates, rounds: ${rounds}`;
  const columns = [
    "rate",
    "of",
    "proxy",
    "p50 us",
    "p99 us",
    "p99 rounds",
    "p99.9 us",
    "max ms",
    "failed",
    "unanswered",
  ];
  return {
    tables: [{ title, columns, rows: lines, notes: notesOf(measured, saturations) }],
    problems: measured.flatMap(problemOf),
  };
}

function lineOf(mine: readonly LatencyRow[]): string[] {
  const middle = (read: (row: LatencyRow) => number) => figure(median(mine.map(read)));
  const p99 = mine.map((row) => row.p99Us);
  const { share, variant } = mine[0] ?? { share: 0, variant: "" };
  return [
    middle((row) => row.requestsPerSecond),
    percent(share),
    variant,
    middle((row) => row.p50Us),
    middle((row) => row.p99Us),
    `${figure(Math.min(...p99))}..${figure(Math.max(...p99))}`,
    middle((row) => row.p999Us),
    figure(Math.max(...mine.map((row) => row.maxUs)) / 1000),
    String(mine.reduce((sum, row) => sum + row.failed, 0)),
    String(mine.reduce((sum, row) => sum + row.unanswered, 0)),
  ];
}

function notesOf(measured: readonly LatencyRow[], saturations: readonly SaturationRow[]): string[] {
  const rates = [...new Set(saturations.map(({ variant }) => variant))].map((name) => {
    const mine = saturations.filter(({ variant }) => variant === name);
    return `${name} ${figure(median(mine.map((row) => row.requestsPerSecond)))}`;
  });
  const ratios = (["p50Us", "p99Us"] as const).flatMap((quantile) => {
    const found = latencyRatio(measured, quantile);
    if (found === null) return [];
    const [middle, range] = describeSpread(found.ratio);
    const verdict = `${verdictOf(found.ratio, margins[quantile])} ${margins[quantile]}`;
    return `${quantile.slice(0, 3)} of Clearway over that of ${found.peer}, the best peer, at half: ${middle} (${range}), ${verdict}`;
  });
  const late = figure(Math.max(0, ...measured.map((row) => row.lateP99Us)) / 1000);
  return [
    `small GETs on ${connections} keep-alive connections, due at even distances whatever the answers take; a latency begins when its request was due`,
    `of: of what the fastest peer answers at saturation (requests/s: ${rates.join(", ")}); medians of all rounds, max and failed over all`,
    `the load generator itself sent 1 of 100 requests up to ${late} ms late in the worst round: that is in the latencies of all`,
    ...ratios,
  ];
}

/** What is left unanswered at a rate that is too high for a proxy is its queue, not a fault. */
function problemOf({ variant, round, failed, example }: LatencyRow): string[] {
  if (failed === 0) return [];
  return [`latency: round ${round}, ${variant}: ${failed} failed: ${example}`];
}
