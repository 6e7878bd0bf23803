/**
 * What a worker measures. A request pays for a few lookups and additions here; no string is built once a series is
 * known. What was added since the last time goes to the supervisor as a delta, so that nothing is lost of what was
 * sent when the worker dies, and nothing is counted twice.
 */
import type { EndpointCounts, EndpointMeter, Meters, RouteMeter } from "../types.ts";
import {
  type CounterFamily,
  type Family,
  filterDuration,
  type HistogramFamily,
  nodeFamilies,
  requestDuration,
  requests,
  upstreamDuration,
  upstreamRequests,
} from "./families.ts";
import type { Histogram } from "./histogram.ts";
import { type CounterSeries, type Labels, OTHER, SERIES_MAX, SeriesTable } from "./series.ts";

/** What changed in one worker since its last delta. Plain data; to be sent in order. */
export interface MeterDelta {
  /** Names of series that are not known to the other side yet, or were not said for a while. */
  readonly series: readonly {
    readonly id: number;
    readonly family: Family;
    readonly values: readonly string[];
  }[];
  /** Series id, increment, series id, increment … */
  readonly counters: readonly number[];
  /** Buckets as in `Histogram.drain`. */
  readonly histograms: readonly {
    readonly id: number;
    readonly sumMs: number;
    readonly buckets: readonly number[];
  }[];
  /** By service, where they changed; null when there is no such service any more. */
  readonly endpoints: readonly (readonly [service: string, counts: EndpointCounts | null])[];
  /** Open now, not since the last delta. */
  readonly connections: Readonly<Record<"downstream" | "upstream", number>>;
}

export interface WorkerMeters extends Meters {
  delta(): MeterDelta;
}

/** Any token is a method on the wire; one that is not in RFC 9110 or RFC 5789 shares a label, as a caller chooses it. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const METHOD_NUMBERS: ReadonlyMap<string, number> = new Map(
  METHODS.map((method, number) => [method, number]),
);
/** Above the largest status that three digits can say. */
const STATUS_RANGE = 1000;
/** Reasons kept apart for one route and service: those of a mesh come from other nodes. */
const REASONS_MAX = 64;

/** After so many deltas names are said again: a delta that got lost costs what it counted, not its series for good. */
const DELTAS_PER_NAMING = 60;

export function createWorkerMeters(
  options: { readonly seriesMax: number } = { seriesMax: SERIES_MAX },
): WorkerMeters {
  const table = new SeriesTable(nodeFamilies, options.seriesMax);
  const named = new Set<number>();
  let deltas = 0;
  const endpoints = new Map<string, EndpointCounts>();
  /** Services whose endpoints are to be said. */
  const changed = new Set<string>();
  const connections = { downstream: 0, upstream: 0 };
  /** Of each filter the version that ran last: the two of a reload share their time only until the old one ends. */
  const filters = new Map<string, { readonly version: string; readonly histogram: Histogram }>();

  const counted = new LatestCounts(table);

  function addFilter(
    filter: string,
    version: string,
  ): { readonly version: string; readonly histogram: Histogram } {
    const added = { version, histogram: table.histogram(filterDuration, { filter, version }).histogram };
    filters.set(filter, added);
    return added;
  }

  return {
    route: (listener, route) => new RouteSeries(table, listener, route),
    endpoint: (service, endpoint) => new EndpointSeries(table, service, endpoint),
    endpoints(service, counts) {
      if (counts === null) endpoints.delete(service);
      else endpoints.set(service, counts);
      changed.add(service);
    },
    connections(side, change) {
      connections[side] += change;
    },
    filter(name, version, durationMs) {
      const known = filters.get(name);
      const latest = known?.version === version ? known : addFilter(name, version);
      latest.histogram.record(durationMs);
    },
    count(name, help, labels) {
      counted.of(name, help, labels ?? NO_LABELS).count += 1;
    },
    observe(name, help, milliseconds) {
      table.histogram(genericHistogram(name, help), NO_LABELS).histogram.record(milliseconds);
    },
    delta() {
      if (deltas % DELTAS_PER_NAMING === 0) {
        named.clear();
        for (const service of endpoints.keys()) changed.add(service);
      }
      deltas += 1;
      const told = [...changed].map((service) => [service, endpoints.get(service) ?? null] as const);
      changed.clear();
      return { ...takeDelta(table, named), endpoints: told, connections: { ...connections } };
    },
  };
}

/** What was counted under each name last: mostly it is the same again, and to find it by its labels costs ten times this. */
class LatestCounts {
  readonly #table: SeriesTable;
  readonly #latest = new Map<string, Latest>();

  constructor(table: SeriesTable) {
    this.#table = table;
  }

  of(name: string, help: string, labels: Labels): CounterSeries {
    const latest = this.#latest.get(name);
    if (latest?.frozen === labels) return latest.series;
    if (latest !== undefined && hasAll(latest.labels, labels) && hasAll(labels, latest.labels))
      return latest.series;
    const series = this.#table.counter(genericCounter(name, help, labels), labels);
    const frozen = Object.isFrozen(labels) ? labels : null;
    if (this.#latest.size < SERIES_MAX) this.#latest.set(name, { labels: { ...labels }, frozen, series });
    return series;
  }
}

interface Latest {
  readonly labels: Labels;
  /** The very object that was given, where it cannot change: it need not be looked at again. */
  readonly frozen: Labels | null;
  readonly series: CounterSeries;
}

function hasAll(labels: Labels, wanted: Labels): boolean {
  for (const name in wanted) if (labels[name] !== wanted[name]) return false;
  return true;
}

/** The counters of one route and service, for one reason, by status and method. */
class StatusSeries {
  readonly #table: SeriesTable;
  readonly #labels: Labels;
  readonly #byNumber = new Map<number, CounterSeries>();
  /** Mostly the next one too: of thousands of routes, a table each is one that the processor has to wait for. */
  #lastNumber = -1;
  #last: CounterSeries | null = null;

  constructor(table: SeriesTable, labels: Labels) {
    this.#table = table;
    this.#labels = labels;
  }

  count(method: string, status: number): void {
    const number = (METHOD_NUMBERS.get(method) ?? METHODS.length) * STATUS_RANGE + status;
    if (this.#last === null || number !== this.#lastNumber) {
      this.#last = this.#byNumber.get(number) ?? this.#add(number, status);
      this.#lastNumber = number;
    }
    this.#last.count += 1;
  }

  #add(number: number, status: number): CounterSeries {
    const method = METHODS[Math.floor(number / STATUS_RANGE)] ?? OTHER;
    const series = this.#table.counter(requests, { ...this.#labels, method, status: String(status) });
    this.#byNumber.set(number, series);
    return series;
  }
}

/** What one route counts for one of its services. */
class ServiceSeries {
  readonly duration: Histogram;
  readonly plain: StatusSeries;
  readonly #table: SeriesTable;
  readonly #labels: Labels;
  readonly #byReason = new Map<string, StatusSeries>();

  constructor(table: SeriesTable, labels: Labels) {
    this.#table = table;
    this.#labels = labels;
    this.duration = table.histogram(requestDuration, labels).histogram;
    this.plain = new StatusSeries(table, { ...labels, reason: "" });
  }

  withReason(reason: string): StatusSeries {
    const known = this.#byReason.get(reason);
    if (known !== undefined) return known;
    if (this.#byReason.size >= REASONS_MAX && reason !== OTHER) return this.withReason(OTHER);
    const series = new StatusSeries(this.#table, { ...this.#labels, reason });
    this.#byReason.set(reason, series);
    return series;
  }
}

class RouteSeries implements RouteMeter {
  readonly #table: SeriesTable;
  readonly #listener: string;
  readonly #route: string;
  /** As many as the route's config names. */
  readonly #byService = new Map<string, ServiceSeries>();
  #lastService = "";
  #last: ServiceSeries | null = null;

  constructor(table: SeriesTable, listener: string, route: string) {
    this.#table = table;
    this.#listener = listener;
    this.#route = route;
  }

  record(service: string, method: string, status: number, reason: string, durationMs: number): void {
    if (this.#last === null || service !== this.#lastService) {
      this.#last = this.#byService.get(service) ?? this.#add(service);
      this.#lastService = service;
    }
    const series = this.#last;
    series.duration.record(durationMs);
    (reason === "" ? series.plain : series.withReason(reason)).count(method, status);
  }

  #add(service: string): ServiceSeries {
    const series = new ServiceSeries(this.#table, { listener: this.#listener, route: this.#route, service });
    this.#byService.set(service, series);
    return series;
  }
}

class EndpointSeries implements EndpointMeter {
  readonly #table: SeriesTable;
  readonly #service: string;
  readonly #endpoint: string;
  readonly #byStatus = new Map<number, CounterSeries>();
  #duration: Histogram | null = null;

  constructor(table: SeriesTable, service: string, endpoint: string) {
    this.#table = table;
    this.#service = service;
    this.#endpoint = endpoint;
  }

  record(status: number, durationMs: number): void {
    this.#duration ??= this.#table.histogram(upstreamDuration, { service: this.#service }).histogram;
    this.#duration.record(durationMs);
    const series = this.#byStatus.get(status) ?? this.#add(status);
    series.count += 1;
  }

  #add(status: number): CounterSeries {
    const labels = { service: this.#service, endpoint: this.#endpoint, status: String(status) };
    const series = this.#table.counter(upstreamRequests, labels);
    this.#byStatus.set(status, series);
    return series;
  }
}

const NO_LABELS: Labels = {};

/** A counter that a filter or another part names itself. */
function genericCounter(name: string, help: string, labels: Labels = NO_LABELS): CounterFamily {
  return { kind: "counter", name, help, labelNames: Object.keys(labels) };
}

function genericHistogram(name: string, help: string): HistogramFamily {
  return { kind: "histogram", name, help, labelNames: [], bounds: "latency" };
}

function takeDelta(
  table: SeriesTable,
  named: Set<number>,
): Pick<MeterDelta, "series" | "counters" | "histograms"> {
  const series: MeterDelta["series"][number][] = [];
  const counters: number[] = [];
  const histograms: MeterDelta["histograms"][number][] = [];
  for (const one of table.all) {
    if (one.kind === "counter") {
      if (one.count === 0) continue;
      counters.push(one.id, one.count);
      one.count = 0;
    } else {
      const drained = one.histogram.drain();
      if (drained.buckets.length === 0) continue;
      histograms.push({ id: one.id, ...drained });
    }
    if (named.has(one.id)) continue;
    named.add(one.id);
    series.push({ id: one.id, family: one.family, values: one.values });
  }
  return { series, counters, histograms };
}
