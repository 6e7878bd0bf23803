/** What all workers of a node measured, added up by its supervisor: for /metrics and for /snapshot. */
import type { EndpointCounts } from "../types.ts";
import {
  dnsLookups,
  filterDuration,
  filterErrors,
  healthChecks,
  lostConnections,
  nodeFamilies,
  pluginRollbacks,
  reloadDuration,
  reloadHold,
  reloads,
  requestDuration,
  requests,
  workerDeaths,
} from "./families.ts";
import { type FilterTotals, filterTotals } from "./filter-totals.ts";
import { Histogram } from "./histogram.ts";
import { type Labels, OTHER, SERIES_MAX, type Series, SeriesTable } from "./series.ts";
import { familyText, type Gauge, gaugeText, headText, labelsText, sampleText } from "./text-format.ts";
import type { MeterDelta } from "./worker-meters.ts";

/** What the operating system says of one process of the node. */
export interface ProcessFacts {
  /** The `process` label: `supervisor`, `worker-1`. */
  readonly name: string;
  readonly residentBytes: number;
  /** User and system time since its start. */
  readonly cpuSeconds: number;
  readonly startEpochMs: number;
}

export interface NodeFacts {
  readonly version: string;
  readonly processes: readonly ProcessFacts[];
  readonly gauges: readonly Gauge[];
}

/** One route over the life of the node. */
export interface RouteTotals {
  readonly listener: string;
  readonly route: string;
  readonly requests: number;
  /** Answers with a status from 500 on. */
  readonly errors: number;
  /** At most 1.6 % off; null before the first request. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface Aggregator {
  /** Takes a delta of a worker, in the order in which the worker made them. */
  add(workerId: number, delta: MeterDelta): void;
  /** The worker is gone: its open connections are too, what it counted stays. */
  forget(workerId: number): void;
  /** It was not to end. */
  workerDied(connections: number): void;
  /** A change of the configuration became live. `longestMs`: a worker served no request for so long, because of it. */
  reloadApplied(facts: { readonly tookMs: number; readonly held: { readonly longestMs: number } }): void;
  /** It did not. */
  reloadRefused(): void;
  /** The name of a service was looked up. */
  lookedUp(service: string, result: "found" | "nothing" | "failed"): void;
  /** An endpoint of a service was asked whether it is well. */
  checked(service: string, result: "passed" | "failed"): void;
  /** A plugin was put back to an earlier version. */
  pluginRolledBack(filter: string, cause: "errors" | "hang" | "memory"): void;
  /** All metrics in the Prometheus text format 0.0.4. */
  render(facts: NodeFacts): string;
  summary(): readonly RouteTotals[];
  filters(): readonly FilterTotals[];
  /** Code that no worker will run again: its series are not shown any more. */
  forgetFilter(filter: string, version: string): void;
}

/** Services whose endpoints are shown. */
const SERVICES_MAX = 2_000;

interface WorkerBook {
  /** This node's series, by the worker's ids. */
  readonly series: Map<number, Series>;
  connections: MeterDelta["connections"];
  readonly endpoints: Map<string, EndpointCounts>;
}

export function createAggregator(
  options: { readonly seriesMax: number } = { seriesMax: SERIES_MAX },
): Aggregator {
  const table = new SeriesTable(nodeFamilies, options.seriesMax);
  const workers = new Map<number, WorkerBook>();

  return {
    add(workerId, delta) {
      let book = workers.get(workerId);
      if (book === undefined) {
        book = { series: new Map(), connections: delta.connections, endpoints: new Map() };
        workers.set(workerId, book);
      }
      book.connections = delta.connections;
      for (const [service, counts] of delta.endpoints) {
        if (counts === null) book.endpoints.delete(service);
        else book.endpoints.set(service, counts);
      }
      addDelta(table, book.series, delta);
    },
    forget(workerId) {
      workers.delete(workerId);
    },
    workerDied(connections) {
      table.counter(workerDeaths, {}).count += 1;
      table.counter(lostConnections, {}).count += connections;
    },
    reloadApplied({ tookMs, held }) {
      table.counter(reloads, { result: "applied" }).count += 1;
      table.histogram(reloadDuration, {}).histogram.record(tookMs);
      table.histogram(reloadHold, {}).histogram.record(held.longestMs);
    },
    reloadRefused() {
      table.counter(reloads, { result: "refused" }).count += 1;
    },
    lookedUp(service, result) {
      table.counter(dnsLookups, { service, result }).count += 1;
    },
    checked(service, result) {
      table.counter(healthChecks, { service, result }).count += 1;
    },
    pluginRolledBack(filter, cause) {
      table.counter(pluginRollbacks, { filter, cause }).count += 1;
    },
    render(facts) {
      let text = "";
      for (const { family, series } of table.byFamily()) text += familyText(family, series);
      for (const gauge of facts.gauges) text += gaugeText(gauge);
      const books = [...workers.values()];
      return text + connectionsText(books) + endpointsText(books) + factsText(facts);
    },
    summary: () => summarize(table),
    filters: () => filterTotals(table),
    forgetFilter(filter, version) {
      table.forget(filterDuration, { filter, version });
      table.forget(filterErrors, { filter, version });
    },
  };
}

function addDelta(table: SeriesTable, known: Map<number, Series>, delta: MeterDelta): void {
  for (const { id, family, values } of delta.series) {
    const labels: Labels = Object.fromEntries(
      family.labelNames.map((name, at) => [name, values[at] ?? OTHER]),
    );
    known.set(
      id,
      family.kind === "counter" ? table.counter(family, labels) : table.histogram(family, labels),
    );
  }
  for (let at = 0; at < delta.counters.length; at += 2) {
    const series = known.get(delta.counters[at]!);
    if (series?.kind === "counter") series.count += delta.counters[at + 1]!;
  }
  for (const drained of delta.histograms) {
    const series = known.get(drained.id);
    if (series?.kind === "histogram") series.histogram.add(drained);
  }
}

function connectionsText(workers: readonly WorkerBook[]): string {
  const name = "clearway_connections";
  const sides = ["downstream", "upstream"] as const;
  return sides.reduce(
    (text, side) => {
      const open = workers.reduce((sum, worker) => sum + worker.connections[side], 0);
      return text + sampleText(name, labelsText(["side"], [side]), open);
    },
    headText(name, "gauge", "Open connections, of callers (downstream) and to services (upstream)."),
  );
}

/** Each worker judges for itself until the others heard of it: of several the worst is shown. */
function endpointsText(workers: readonly WorkerBook[]): string {
  const name = "clearway_service_endpoints";
  const services = [...new Set(workers.flatMap(({ endpoints }) => [...endpoints.keys()]))];
  let text = headText(
    name,
    "gauge",
    "Endpoints of the service by how they are: healthy, unhealthy or ejected.",
  );
  for (const service of services.slice(0, SERVICES_MAX)) {
    const seen = workers.flatMap(({ endpoints }) => endpoints.get(service) ?? []);
    const worst = {
      healthy: Math.min(...seen.map(({ healthy }) => healthy)),
      unhealthy: Math.max(...seen.map(({ unhealthy }) => unhealthy)),
      ejected: Math.max(...seen.map(({ ejected }) => ejected)),
    };
    for (const [state, count] of Object.entries(worst))
      text += sampleText(name, labelsText(["service", "state"], [service, state]), count);
  }
  return text;
}

function factsText({ version, processes }: NodeFacts): string {
  const families = [
    {
      name: "process_resident_memory_bytes",
      type: "gauge",
      help: "Memory of the process that is in RAM.",
      of: (facts: ProcessFacts) => facts.residentBytes,
    },
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "User and system time of the process.",
      of: (facts: ProcessFacts) => facts.cpuSeconds,
    },
    {
      name: "process_start_time_seconds",
      type: "gauge",
      help: "When the process started, in seconds since 1970.",
      of: (facts: ProcessFacts) => facts.startEpochMs / 1000,
    },
  ] as const;
  let text = headText("clearway_build_info", "gauge", "Always 1; the label says which version runs.");
  text += sampleText("clearway_build_info", labelsText(["version"], [version]), 1);
  for (const { name, type, help, of } of families) {
    text += headText(name, type, help);
    for (const one of processes) text += sampleText(name, labelsText(["process"], [one.name]), of(one));
  }
  return text;
}

function summarize(table: SeriesTable): RouteTotals[] {
  const totals = new Map<
    string,
    { listener: string; route: string; requests: number; errors: number; durations: Histogram }
  >();
  const totalOf = (values: readonly string[]) => {
    const [listener = "", route = ""] = values;
    const key = JSON.stringify([listener, route]);
    const known = totals.get(key);
    if (known !== undefined) return known;
    const total = { listener, route, requests: 0, errors: 0, durations: new Histogram() };
    totals.set(key, total);
    return total;
  };
  const status = requests.labelNames.indexOf("status");
  for (const series of table.all) {
    if (series.kind === "counter" && series.family.name === requests.name && series.count > 0) {
      const total = totalOf(series.values);
      total.requests += series.count;
      if (Number(series.values[status]) >= 500) total.errors += series.count;
    } else if (series.kind === "histogram" && series.family.name === requestDuration.name) {
      totalOf(series.values).durations.merge(series.histogram);
    }
  }
  return [...totals.values()]
    .filter((total) => total.requests > 0)
    .map(({ durations, ...total }) => ({
      ...total,
      p50Ms: durations.quantile(0.5),
      p99Ms: durations.quantile(0.99),
    }));
}
