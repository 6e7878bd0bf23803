/** What the rows of `reload` say. */
import type { LoadResult } from "../load.ts";
import type { PeerName } from "../peers.ts";
import { median, pairedRatio, type Spread, verdictOf } from "../statistics.ts";
import { describeSpread, figure, type Table } from "../table.ts";
import type { Report } from "../workload.ts";

/** From one save to the next, or until the config is live when that takes longer. */
export const intervalMs = 200;
export const requestsPerSecond = 2_000;
/** p99 while reloading, over p99 without. */
const margin = 1.25;

export type Phase = "steady" | "reloading";

export interface ReloadRow extends LoadResult {
  /** Rows of before there were others have none: they are Clearway's. */
  readonly variant?: PeerName | "clearway";
  readonly round: number;
  readonly phase: Phase;
  /** Saves that were seen live. */
  readonly reloads: number;
  /** From the save to the first answer of the new generation. */
  readonly liveMs: { readonly p50: number; readonly max: number };
}

const columns = [
  ...["proxy", "phase", "reloads", "requests", "failed", "closed", "p50 us", "p99 us", "of steady"],
  ...["rounds", "max ms", "live ms"],
];

export function report(rows: readonly ReloadRow[]): Report {
  const variants = [...new Set(rows.map(variantOf))];
  const lines = variants.flatMap((variant) => {
    const mine = rows.filter((row) => variantOf(row) === variant);
    return (["steady", "reloading"] as const).map((phase) => lineOf(variant, phase, mine));
  });
  const rounds = Math.max(0, ...rows.map((row) => row.round));
  const table: Table = {
    title: `Reloads under load, rounds: ${rounds}`,
    columns,
    rows: lines,
    notes: [
      `${requestsPerSecond.toLocaleString("en")} requests a second on 16 keep-alive connections; the config is replaced every ${intervalMs} ms, or when the last one is live if that takes longer`,
      "failed: anything but the wanted status and body, byte for byte; closed: connections that the proxy closed",
      "live: from the save to the first answer by the new config, the median; max is of one request; which config is live is asked every 5 ms, on a new connection, in both phases",
      `of steady: p99 over that of the same process and round without reloads, ${verdictOfReloads(rows)}`,
      "nginx is told by SIGHUP, HAProxy's master by SIGUSR2, Caddy by a POST to its admin, Envoy and Clearway see the file",
    ],
  };
  return { tables: [table], problems: problemsOf(rows) };
}

function variantOf(row: ReloadRow): PeerName | "clearway" {
  return row.variant ?? "clearway";
}

/** p99 while reloading over that without, in pairs of one process; null when there is none. */
export function reloadRatio(rows: readonly ReloadRow[], variant: PeerName | "clearway"): Spread | null {
  const p99 = (phase: Phase) =>
    new Map(
      rows
        .filter((row) => row.phase === phase && variantOf(row) === variant)
        .map((row) => [row.round, row.latencyMs.p99]),
    );
  return pairedRatio(p99("reloading"), p99("steady"));
}

function verdictOfReloads(rows: readonly ReloadRow[]): string {
  const ratio = reloadRatio(rows, "clearway");
  return ratio === null ? "undecided" : `Clearway ${verdictOf(ratio, margin)} ${margin}`;
}

function lineOf(variant: string, phase: Phase, rows: readonly ReloadRow[]): string[] {
  const mine = rows.filter((row) => row.phase === phase);
  const sum = (read: (row: ReloadRow) => number) => mine.reduce((total, row) => total + read(row), 0);
  const middle = (read: (row: ReloadRow) => number) => figure(median(mine.map(read)));
  const ratio = phase === "steady" ? null : reloadRatio(rows, variant as PeerName);
  return [
    variant,
    phase,
    sum((row) => row.reloads).toLocaleString("en"),
    sum((row) => row.succeeded).toLocaleString("en"),
    String(sum((row) => row.failed)),
    String(sum((row) => row.closedByPeer)),
    middle((row) => row.latencyMs.p50 * 1000),
    middle((row) => row.latencyMs.p99 * 1000),
    ...describeSpread(ratio),
    figure(Math.max(...mine.map((row) => row.latencyMs.max))),
    phase === "steady" ? "-" : middle((row) => row.liveMs.p50),
  ];
}

/** Only Clearway's failures make the run a failed one: those of a peer are its row's to tell. */
function problemsOf(rows: readonly ReloadRow[]): string[] {
  return rows
    .filter((row) => row.failed > 0 && variantOf(row) === "clearway")
    .map(
      (row) => `reload: round ${row.round}, ${row.phase}: ${row.failed} failed: ${row.examples.join("; ")}`,
    );
}
