/** The metrics that every node has: names, labels and help as Prometheus shows them. docs/metrics.md explains them. */

export interface CounterFamily {
  readonly kind: "counter";
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

export interface HistogramFamily {
  readonly kind: "histogram";
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Which bounds its `le` buckets have: those of whole requests, or those of a filter's own code. */
  readonly bounds: "latency" | "code";
}

export type Family = CounterFamily | HistogramFamily;

export const requests: CounterFamily = {
  kind: "counter",
  name: "clearway_requests_total",
  help: "Requests answered. The reason is empty unless Clearway itself made the answer.",
  labelNames: ["listener", "route", "service", "method", "status", "reason"],
};

export const requestDuration: HistogramFamily = {
  kind: "histogram",
  name: "clearway_request_duration_seconds",
  help: "From the head of a request to the last byte of its answer.",
  labelNames: ["listener", "route", "service"],
  bounds: "latency",
};

export const upstreamRequests: CounterFamily = {
  kind: "counter",
  name: "clearway_upstream_requests_total",
  help: "Tries sent to the endpoints of services. Status 0 is a try without an answer.",
  labelNames: ["service", "endpoint", "status"],
};

export const upstreamDuration: HistogramFamily = {
  kind: "histogram",
  name: "clearway_upstream_duration_seconds",
  help: "How long the tries sent to a service took.",
  labelNames: ["service"],
  bounds: "latency",
};

export const filterDuration: HistogramFamily = {
  kind: "histogram",
  name: "clearway_filter_duration_seconds",
  help: "How long the filter's own code ran for a request, without what it waited for.",
  labelNames: ["filter", "version"],
  bounds: "code",
};

/** Filters count it under this name themselves. */
export const filterErrors: CounterFamily = {
  kind: "counter",
  name: "clearway_filter_errors_total",
  help: "Calls of a filter that threw.",
  labelNames: ["filter", "version"],
};

export const reloads: CounterFamily = {
  kind: "counter",
  name: "clearway_reloads_total",
  help: "Changes of the configuration, by what became of them.",
  labelNames: ["result"],
};

export const reloadDuration: HistogramFamily = {
  kind: "histogram",
  name: "clearway_reload_duration_seconds",
  help: "From the notice of a change of the configuration until all workers served it.",
  labelNames: [],
  bounds: "latency",
};

export const reloadHold: HistogramFamily = {
  kind: "histogram",
  name: "clearway_reload_hold_seconds",
  help: "The longest time in which a worker served no request because it made a configuration live.",
  labelNames: [],
  bounds: "latency",
};

export const dnsLookups: CounterFamily = {
  kind: "counter",
  name: "clearway_dns_lookups_total",
  help: "Lookups of the names of services: found, nothing there, or failed, after which what was known holds.",
  labelNames: ["service", "result"],
};

export const healthChecks: CounterFamily = {
  kind: "counter",
  name: "clearway_health_checks_total",
  help: "Health checks of endpoints, by what came of them.",
  labelNames: ["service", "result"],
};

export const pluginRollbacks: CounterFamily = {
  kind: "counter",
  name: "clearway_plugin_rollbacks_total",
  help: "Plugins that were put back to an earlier version, by what they did.",
  labelNames: ["filter", "cause"],
};

export const workerDeaths: CounterFamily = {
  kind: "counter",
  name: "clearway_worker_deaths_total",
  help: "Workers that ended, or were killed for their silence, and were replaced.",
  labelNames: [],
};

export const lostConnections: CounterFamily = {
  kind: "counter",
  name: "clearway_worker_lost_connections_total",
  help: "Callers' connections that workers had open when they died.",
  labelNames: [],
};

/** Where counts go whose own name came after the limit on series. */
export const otherCounts: CounterFamily = {
  kind: "counter",
  name: "clearway_filter_other_total",
  help: "Counts of filters under names that came after the limit on series.",
  labelNames: [],
};

export const otherDurations: HistogramFamily = {
  kind: "histogram",
  name: "clearway_filter_other_seconds",
  help: "Durations of filters under names that came after the limit on series.",
  labelNames: [],
  bounds: "latency",
};

export const nodeFamilies: readonly Family[] = [
  requests,
  requestDuration,
  upstreamRequests,
  upstreamDuration,
  filterDuration,
  filterErrors,
  reloads,
  reloadDuration,
  reloadHold,
  dnsLookups,
  healthChecks,
  pluginRollbacks,
  workerDeaths,
  lostConnections,
  otherCounts,
  otherDurations,
];
