/** The tables of the routes workload. */
import type { ManyRoutes } from "../many-routes.ts";
import type { MatchingCase, MatchingOrder } from "../matching.ts";
import { median, pairedRatio, spreadOf, verdictOf } from "../statistics.ts";
import { figure, type Table } from "../table.ts";
import type { Report } from "../workload.ts";

export interface LiveRow extends ManyRoutes {
  readonly kind: "live";
  /** The first save of a process finds code that was never run, and is kept apart. */
  readonly save: number;
  /** From the save to the first answer of the new config. */
  readonly liveMs: number;
  /** As the node says: the worker's longest slice, and all of them together. */
  readonly heldMs: number;
  readonly heldTotalMs: number;
  /** Of the requests meanwhile. */
  readonly failed: number;
  readonly latencyMsMax: number;
}

export interface MatchingRow {
  readonly kind: "matching";
  readonly case: MatchingCase;
  readonly order: MatchingOrder;
  readonly round: number;
  readonly routes: number;
  readonly nanoseconds: number;
}

export interface CostRow extends ManyRoutes {
  readonly kind: "cost";
  readonly round: number;
  readonly requests: number;
  readonly failed: number;
  readonly cpuUs: number;
}

export type RoutesRow = LiveRow | MatchingRow | CostRow;

/** By the number of routes. */
const liveMsMax = new Map([
  [100, 500],
  [10_000, 4_000],
]);
const heldMsMax = new Map([
  [100, 5],
  [10_000, 100],
]);
/** Matching among many routes over matching among few. */
const matchingMargin = 1.2;

export function report(rows: readonly RoutesRow[]): Report {
  const ofKind = <Kind extends RoutesRow["kind"]>(kind: Kind) =>
    rows.filter((row): row is Extract<RoutesRow, { kind: Kind }> => row.kind === kind);
  const tables = [
    liveTable(ofKind("live")),
    matchingTable(ofKind("matching")),
    costTable(ofKind("cost")),
  ].filter((table) => table.rows.length > 0);
  const problems = rows.flatMap((row) =>
    row.kind !== "matching" && row.failed > 0
      ? [`routes: ${row.routes} routes: ${row.failed} requests failed`]
      : [],
  );
  return { tables, problems };
}

function liveTable(rows: readonly LiveRow[]): Table {
  const lines = sizesOf(rows).map((size) => {
    const mine = rows.filter((row) => row.routes === size);
    const [first, ...later] = mine;
    const most = (of: (row: LiveRow) => number) => Math.max(...mine.map(of));
    const slowest = most(({ liveMs }) => liveMs);
    return [
      size.toLocaleString("en"),
      mine[0]!.services.toLocaleString("en"),
      figure(first!.liveMs),
      figure(median(later.map(({ liveMs }) => liveMs))),
      figure(slowest),
      verdict(slowest, liveMsMax.get(size)),
      String(most(({ heldMs }) => heldMs)),
      String(most(({ heldTotalMs }) => heldTotalMs)),
      verdict(
        most(({ heldTotalMs }) => heldTotalMs),
        heldMsMax.get(size),
      ),
      figure(most(({ latencyMsMax }) => latencyMsMax)),
      String(mine.reduce((sum, { failed }) => sum + failed, 0)),
    ];
  });
  const columns = [
    ...["routes", "services", "live ms, first", "later", "slowest", "verdict"],
    ...["held ms", "in all", "verdict", "slowest request ms", "failed"],
  ];
  const notes = [
    "live: from the save of the main file to the first answer of the new config; first: of a process, later: the median of the others",
    "held: as the node says, the longest time in which its worker served nobody, and all such times of one reload; the largest of all reloads",
    "the services are in included files of 100 each; every tenth route has a filter",
  ];
  return { title: "Many routes: from the save to live", columns, rows: lines, notes };
}

function matchingTable(rows: readonly MatchingRow[]): Table {
  const kinds = [...new Set(rows.map((row) => `${row.case}|${row.order}`))];
  const sizes = sizesOf(rows);
  const [few = 0] = sizes;
  const lines = kinds.map((kind) => {
    const mine = rows.filter((row) => `${row.case}|${row.order}` === kind);
    const bySize = sizes.map((size) =>
      byRound(
        mine.filter((row) => row.routes === size),
        ({ nanoseconds }) => nanoseconds,
      ),
    );
    const ratio = pairedRatio(bySize.at(-1)!, bySize[0]!);
    return [
      ...kind.split("|"),
      ...bySize.map((times) => figure(median([...times.values()]))),
      ratio === null ? "-" : ratio.median.toFixed(2),
      ratio === null ? "-" : `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
      ratio === null ? "" : `${verdictOf(ratio, matchingMargin)} ${matchingMargin}`,
    ];
  });
  const columns = [
    "case",
    "requests",
    ...sizes.map((size) => `${size.toLocaleString("en")} routes, ns`),
    "ratio",
    "range",
    "verdict",
  ];
  const notes = [
    "one match in one process, without the making of the path; medians of nine rounds, ratios of the same round",
    "one: to the same route again and again; in turn: to 1,024 routes one after the other, each of which has left the processor's nearest caches by the time its turn comes again",
  ];
  return {
    title: `Matching in ${few} routes and in ${sizes.at(-1)?.toLocaleString("en") ?? ""}`,
    columns,
    rows: lines,
    notes,
  };
}

function costTable(rows: readonly CostRow[]): Table {
  const sizes = sizesOf(rows);
  const cpu = (size: number) =>
    byRound(
      rows.filter((row) => row.routes === size),
      ({ cpuUs, requests }) => cpuUs / requests,
    );
  const lines = sizes.map((size) => {
    const mine = cpu(size);
    const ratio = size === sizes[0] ? null : pairedRatio(mine, cpu(sizes[0]!));
    const spread = spreadOf([...mine.values()]);
    return [
      size.toLocaleString("en"),
      figure(spread.median),
      `${figure(spread.min)}..${figure(spread.max)}`,
      ratio === null ? "-" : ratio.median.toFixed(2),
      ratio === null ? "-" : `${ratio.min.toFixed(2)}..${ratio.max.toFixed(2)}`,
    ];
  });
  const columns = ["routes", "CPU us/request", "range", "to the fewest", "range of ratios"];
  const notes = [
    "through the proxy, 64 keep-alive connections, small GETs to routes taken at random; every tenth route has a filter",
  ];
  return { title: "Many routes: CPU of a request", columns, rows: lines, notes };
}

function sizesOf(rows: readonly { readonly routes: number }[]): number[] {
  return [...new Set(rows.map(({ routes }) => routes))].toSorted((a, b) => a - b);
}

function byRound<Row extends { readonly round: number }>(rows: readonly Row[], of: (row: Row) => number) {
  return new Map(rows.map((row) => [row.round, of(row)]));
}

function verdict(found: number, max: number | undefined): string {
  return max === undefined ? "" : `${found <= max ? "within" : "over"} ${max}`;
}
