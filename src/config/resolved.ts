/** A snapshot written back in the config's own grammar, every default included. */
import type {
  EndpointConfig,
  FilterEntry,
  ListenerCertificate,
  ListenerConfig,
  MeshMembership,
  MessageLimits,
  NamedValueMatch,
  RouteAction,
  RouteConfig,
  RouteMatch,
  ServiceConfig,
  ServiceTls,
  Snapshot,
} from "../snapshot.ts";
import { formatDuration, formatSize } from "../units.ts";
import { formatAddress } from "./address.ts";
import { writtenBalancing } from "./balancing.ts";
import { writtenDns, writtenHealthCheck, writtenResolver } from "./discovery.ts";
import { limitNames } from "./limits.ts";

/** What filters and answers look like without their secrets, by the entry or the action. */
export type Shown = ReadonlyMap<object, unknown>;

/** `limits` are the general ones, which the snapshot has put into each listener and service. */
export function resolvedConfig(snapshot: Snapshot, limits: MessageLimits, shown: Shown): unknown {
  const { dotSegments, slashes, escapedSlash } = snapshot.paths;
  return {
    admin: formatAddress(snapshot.admin),
    drain: formatDuration(snapshot.drainMs),
    ...given({ zone: snapshot.zone }),
    limits: { ...limitsOf(limits), workerMemory: formatSize(snapshot.workerMemoryBytes) },
    paths: { dotSegments, merge: slashes === "merge", escapedSlash },
    resolver: writtenResolver(snapshot.resolver),
    listeners: named(snapshot.listeners, (listener) => listenerOf(listener, shown)),
    services: named(snapshot.services, serviceOf),
    ...(snapshot.membership === null ? {} : { mesh: membershipOf(snapshot.membership) }),
    log: snapshot.log,
  };
}

function membershipOf({ coordinators, service, tokenFile, stateFolder }: MeshMembership): object {
  return { coordinator: coordinators, service, ...given({ tokenFile }), state: stateFolder };
}

function listenerOf(listener: ListenerConfig, shown: Shown): unknown {
  return {
    bind: formatAddress(listener.bind),
    protocol: listener.protocol,
    ...(listener.tls.length > 0 ? { tls: listener.tls.map(listenerCertificateOf) } : {}),
    trustedHops: listener.trustedHops,
    limits: limitsOf(listener.limits),
    filters: listener.filters.map((entry) => filterOf(entry, shown)),
    routes: listener.routes.map((route) => routeOf(route, shown)),
  };
}

function listenerCertificateOf(entry: ListenerCertificate): object {
  const { clientCaFile, clientAuth, versionMin } = entry;
  return {
    ...entry.files,
    ...(clientCaFile === null ? {} : { clientCa: clientCaFile, clientAuth }),
    minVersion: versionMin,
  };
}

function serviceTlsOf({ caFile, serverName, certificate, verification }: ServiceTls): object {
  return { ...given({ ca: caFile, serverName }), ...certificate?.files, verification };
}

function routeOf(route: RouteConfig, shown: Shown): unknown {
  return {
    name: route.name,
    match: { host: route.match.host ?? "*", ...matchOf(route.match) },
    filters: route.filters.map((entry) => filterOf(entry, shown)),
    timeout: formatDuration(route.timeoutMs),
    ...actionOf(route.action, shown),
  };
}

/** Without the host. */
export function matchOf({ path, methods, headers, query }: RouteMatch): object {
  return {
    path: path ?? "*",
    ...(methods.length > 0 ? { method: methods } : {}),
    ...(headers.length > 0 ? { headers: valuesOf(headers) } : {}),
    ...(query.length > 0 ? { query: valuesOf(query) } : {}),
  };
}

export function actionOf(action: RouteAction, shown: Shown): object {
  if (action.kind === "respond") return { respond: shown.get(action) };
  if (action.kind === "redirect") {
    const { scheme, host, path, status } = action;
    return { redirect: { ...given({ scheme, host, path }), status } };
  }
  const rewrite = given({ path: action.rewrite.path, host: action.rewrite.host });
  const to = Object.fromEntries(action.to.map(({ service, weight }) => [service, weight]));
  return { to, ...(Object.keys(rewrite).length > 0 ? { rewrite } : {}) };
}

export function filterOf(entry: FilterEntry, shown: Shown): unknown {
  return { [entry.name]: shown.get(entry), ...given({ id: entry.id }), onError: entry.onError };
}

export function serviceOf(service: ServiceConfig): object {
  const { connectMs, idleMs } = service.timeouts;
  const { handshakeTimeout, headerTimeout, idleTimeout, routeTimeout, ...limits } = limitsOf(
    service.messageLimits,
  );
  return {
    ...sourceOf(service),
    ...writtenBalancing(service),
    ...(service.healthCheck === null ? {} : { healthCheck: writtenHealthCheck(service.healthCheck) }),
    limits: { ...limits, ...service.limits },
    ...(service.tls === null ? {} : { tls: serviceTlsOf(service.tls) }),
    timeouts: { connect: formatDuration(connectMs), idle: formatDuration(idleMs) },
  };
}

function sourceOf({ endpoints, dns, registry }: ServiceConfig): object {
  if (registry !== null) return {};
  return dns === null ? { endpoints: endpoints.map(endpointOf) } : { dns: writtenDns(dns) };
}

function endpointOf({ address, weight, zone, version }: EndpointConfig): object {
  return { address: formatAddress(address), weight, ...given({ zone, version }) };
}

export function limitsOf(limits: MessageLimits): Record<string, string | number> {
  const written = limitNames.map(([name, field]) => {
    const value = limits[field];
    if (field.endsWith("Bytes")) return [name, formatSize(value)];
    return [name, field.endsWith("Ms") ? formatDuration(value) : value];
  });
  return Object.fromEntries(written);
}

function valuesOf(matches: readonly NamedValueMatch[]): unknown {
  return named(matches, ({ match }) => {
    if (match.kind === "exact") return match.value;
    return match.kind === "prefix" ? { prefix: match.value } : { present: true };
  });
}

export function named<Item extends { readonly name: string }>(
  items: readonly Item[],
  write: (item: Item) => unknown,
) {
  return Object.fromEntries(items.map((item) => [item.name, write(item)]));
}

/** Without what was not given. */
export function given(fields: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, string] => field[1] !== null),
  );
}
