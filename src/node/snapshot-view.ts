/** What `/snapshot` shows: the live configuration, and beside it what its parts are doing. Without secrets. */

import type { Address } from "../machine.ts";
import type { EndpointReport, ListenerReport, ServiceReport } from "../runtime/report.ts";
import type {
  EndpointConfig,
  ForwardTarget,
  ListenerConfig,
  RouteConfig,
  ServiceConfig,
} from "../snapshot.ts";
import type { RouteTotals } from "../telemetry/index.ts";
import { addressText } from "./addresses.ts";
import { type FilterSources, filtersView } from "./filter-view.ts";
import type { Membership } from "./membership.ts";
import { mergedReport } from "./merged-report.ts";
import { meshStatusView } from "./mesh/mesh-status.ts";
import type { ServiceKnowledge } from "./service-watch/service-watch.ts";
import type { ReportedWorker } from "./worker-pool.ts";

export interface SnapshotSources extends FilterSources {
  readonly node: string;
  readonly programVersion: string;
  readonly file: string;
  /** Null where there is no mesh. */
  readonly membership: Pick<Membership, "status"> | null;
  /** The config in its own grammar, with every default. */
  readonly resolved: unknown;
  /** As bound. */
  readonly admin: Address | null;
  readonly workers: readonly ReportedWorker[];
  readonly totals: readonly RouteTotals[];
  knowledge(service: ServiceConfig): ServiceKnowledge;
}

export function snapshotView(sources: SnapshotSources): object {
  const { live, admin, workers, totals } = sources;
  const report = mergedReport(workers.flatMap((worker) => worker.report ?? []));
  return {
    node: sources.node,
    program: sources.programVersion,
    version: live?.version ?? null,
    file: sources.file,
    admin: admin === null ? null : addressText(admin),
    mesh: meshStatusView(sources.membership?.status() ?? null),
    workers: workers.map(workerView),
    listeners: live?.listeners.map((listener) => listenerView(listener, report.listeners, totals)) ?? [],
    filters: filtersView(sources),
    services:
      live?.services.map((service) => serviceView(service, sources.knowledge(service), report.services)) ??
      [],
    config: sources.resolved,
  };
}

function workerView({ report, ...status }: ReportedWorker): object {
  return {
    ...status,
    connections: report?.listeners.reduce((sum, { connections }) => sum + connections, 0) ?? null,
    generations: report?.generations ?? null,
    activeRequests: report?.activeRequests ?? null,
  };
}

function listenerView(
  { name, bind, protocol, routes }: ListenerConfig,
  reports: readonly ListenerReport[],
  totals: readonly RouteTotals[],
): object {
  const report = reports.find((one) => one.name === name && one.state === "serving");
  const ofListener = totals.filter(({ listener }) => listener === name);
  const byRoute = new Map(ofListener.map((total) => [total.route, total]));
  return {
    name,
    address: report?.address ?? addressText(bind),
    protocol,
    connections: report?.connections ?? null,
    routes: routes.map((route) => routeView(route, byRoute.get(route.name))),
  };
}

function routeView(route: RouteConfig, total: RouteTotals | undefined): object {
  return {
    ...plannedView(route),
    requests: total?.requests ?? 0,
    errors: total?.errors ?? 0,
    p50Ms: total?.p50Ms ?? null,
    p99Ms: total?.p99Ms ?? null,
  };
}

function plannedView({ name, filters, action, place }: RouteConfig): object {
  return {
    name,
    place: `${place.file}:${place.line}`,
    filters: filters.map((filter) => filter.name),
    action: action.kind,
    services: action.kind === "forward" ? [...new Set(action.to.map(({ service }) => service))] : [],
    to: action.kind === "forward" ? action.to.map(targetView) : [],
  };
}

/** What is counted of a service's own routes stands in the metrics, by route and service. */
function targetView({ routes, ...target }: ForwardTarget): object {
  return routes === undefined ? target : { ...target, routes: routes.map(plannedView) };
}

function serviceView(
  { name, loadBalancing }: ServiceConfig,
  { endpoints, discovery, health }: ServiceKnowledge,
  reports: readonly ServiceReport[],
): object {
  const report = reports.find((one) => one.name === name);
  return {
    name,
    loadBalancing: loadBalancing.policy,
    requests: report?.requests ?? null,
    waiting: report?.waiting ?? null,
    panic: report === undefined ? null : report.panic === "yes",
    discovery,
    endpoints: (report?.endpoints.map(endpointView) ?? endpoints.map(namedView)).map((endpoint) => ({
      ...endpoint,
      checks: health.get(endpoint.address) ?? null,
    })),
  };
}

function endpointView({ ejectedUntilEpochMs, ...endpoint }: EndpointReport) {
  const ejectedUntil = ejectedUntilEpochMs === null ? null : new Date(ejectedUntilEpochMs).toISOString();
  return { ...endpoint, ejectedUntil };
}

/** While no worker answers. */
function namedView({ address, weight, zone, version }: EndpointConfig) {
  return { address: addressText(address), weight, zone, version };
}
