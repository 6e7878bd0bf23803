/** What a gateway serves: its own file, and where that names a service of the mesh, what the mesh document says of it. */
import { defaultLimits } from "../../config/limits.ts";
import type { MeshService } from "../../mesh.ts";
import type {
  FilterEntry,
  ListenerConfig,
  RouteConfig,
  RouteMatch,
  ServiceConfig,
  Snapshot,
} from "../../snapshot.ts";
import type { MeshKnowledge } from "./mesh-view.ts";
import type { OwnCredentials } from "./node-state.ts";
import { unavailable } from "./sidecar-snapshot.ts";
import { calledService, pluginsOf, rulesOf, withNewestRoots, withOthers } from "./used-services.ts";

export interface GatewayFacts {
  /** As the file says. */
  readonly file: Snapshot;
  readonly credentials: OwnCredentials;
  readonly knowledge: MeshKnowledge | null;
  /** Services whose rules this node cannot use, and why not. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Services of the mesh that the file names, as the mesh knows them. */
export function registeredServices({ services }: Pick<Snapshot, "services">): readonly string[] {
  return services.flatMap(({ registry }) => registry ?? []);
}

export function gatewaySnapshot({ file, credentials: obtained, knowledge, refused }: GatewayFacts): Snapshot {
  const credentials = withNewestRoots(obtained, knowledge);
  const { trustDomain, identity } = credentials;
  const used = withOthers(registeredServices(file), knowledge);
  const rules = (name: string) => rulesOf(knowledge, name);
  const here = new Set(file.services.map(({ name, registry }) => registry ?? name));
  const others = used.filter((name) => !here.has(name)).flatMap((name) => rules(name) ?? []);
  return {
    ...file,
    mesh: { trustDomain, identity, removed: knowledge?.mesh.removed ?? [] },
    listeners: file.listeners.map((listener) => withMeshRoutes(listener, file, { rules, refused })),
    services: [
      ...file.services.map((service) => meshService(service, rules(service.registry ?? ""), credentials)),
      ...others.map((other) => calledService(other, credentials)),
    ],
    plugins: merged([...pluginsOf(used, knowledge), ...file.plugins]),
  };
}

function merged(plugins: Snapshot["plugins"]): Snapshot["plugins"] {
  return [...new Map(plugins.map((plugin) => [plugin.name, plugin])).values()];
}

// ---- services ----

/** What the file says of it goes before what the mesh document says; where it says nothing, that holds. */
function meshService(
  service: ServiceConfig,
  rules: MeshService | null,
  credentials: OwnCredentials,
): ServiceConfig {
  const { name, registry } = service;
  if (registry === null) return service;
  const unknown: MeshService = {
    name: registry,
    callee: { mtls: "strict", inbound: [], others: [], healthCheck: null },
    caller: { routes: [], service, others: [] },
    place: service.place,
  };
  const called = calledService(rules ?? unknown, credentials);
  /** A default that the file writes goes before the document's value too. */
  const of = (setting: string) => (service.written?.includes(setting) ? service : called);
  return {
    ...called,
    name,
    loadBalancing: of("loadBalancing").loadBalancing,
    slowStartMs: of("slowStart").slowStartMs,
    panicShare: of("panic").panicShare,
    outlierDetection: of("outlierDetection").outlierDetection,
    limits: {
      connections: of("limits.connections").limits.connections,
      pending: of("limits.pending").limits.pending,
      requests: of("limits.requests").limits.requests,
    },
    timeouts: {
      connectMs: of("timeouts.connect").timeouts.connectMs,
      idleMs: of("timeouts.idle").timeouts.idleMs,
    },
    messageLimits: service.messageLimits,
    place: service.place,
  };
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

// ---- routes ----

interface MeshRules {
  rules(name: string): MeshService | null;
  readonly refused: GatewayFacts["refused"];
}

function withMeshRoutes(
  listener: ListenerConfig,
  { services }: Pick<Snapshot, "services">,
  { rules, refused }: MeshRules,
): ListenerConfig {
  const registered = new Map(services.map(({ name, registry }) => [name, registry]));
  const routes = listener.routes.flatMap((route) => {
    const only = onlyTarget(route);
    const registry = only === null ? null : (registered.get(only) ?? null);
    const refusal = registry === null ? undefined : refused.get(registry);
    if (refusal !== undefined) {
      const why = `this node refuses the mesh document's rules of ${registry}: ${refusal}`;
      return [{ ...unavailable(why, route.place), name: route.name, match: route.match }];
    }
    const found = registry === null ? null : rules(registry);
    if (only === null || found === null || found.callee === null) return [route];
    return found.caller.routes.flatMap(
      (theirs) => joined(route, theirs, { name: only, registry: found.name }) ?? [],
    );
  });
  return { ...listener, routes };
}

/** The one service that a route sends to, of whatever version; null for others: their file says how they are shared. */
export function onlyTarget({ action }: RouteConfig): string | null {
  if (action.kind !== "forward" || action.to.length !== 1) return null;
  const [target] = action.to;
  return target!.version === null ? target!.service : null;
}

/** What matches both, with the filters of both; null where nothing does. */
function joined(
  own: RouteConfig,
  theirs: RouteConfig,
  called: { readonly name: string; readonly registry: string },
): RouteConfig | null {
  const match = bothMatch(own.match, theirs.match);
  if (match === null || own.action.kind !== "forward") return null;
  const unconditional = same(match, own.match);
  const { action } = theirs;
  // A route of the document may answer by itself.
  if (action.kind !== "forward") return { ...theirs, match, name: `${own.name}/${theirs.name}` };
  const to = action.to.map((target) =>
    target.service === called.registry ? { ...target, service: called.name } : target,
  );
  return {
    ...own,
    name: unconditional ? own.name : `${own.name}/${theirs.name}`,
    match,
    filters: bothFilters(own.filters, theirs.filters),
    timeoutMs: ownTimeout(own) ? own.timeoutMs : theirs.timeoutMs,
    action: { ...own.action, to },
  };
}

/** Whether its file says it: at the route itself, or as a limit that is no default. */
export function ownTimeout({ timeoutMs, timeoutSource }: RouteConfig): boolean {
  return timeoutSource === "written" || timeoutMs !== defaultLimits.routeTimeoutMs;
}

function bothMatch(own: RouteMatch, theirs: RouteMatch): RouteMatch | null {
  const path = bothPaths(own.path, theirs.path);
  if (path === "none") return null;
  const methods = bothMethods(own.methods, theirs.methods);
  if (methods === "none") return null;
  return {
    host: own.host,
    path,
    methods,
    headers: [...own.headers, ...theirs.headers],
    query: [...own.query, ...theirs.query],
  };
}

/** The narrower of two paths of which one contains the other; of others no single path says what both match. */
function bothPaths(own: string | null, theirs: string | null): string | null {
  if (own === null || theirs === null || own === theirs) return own ?? theirs;
  if (containsPath(own, theirs)) return theirs;
  return containsPath(theirs, own) ? own : "none";
}

export function containsPath(wide: string, narrow: string): boolean {
  if (!wide.endsWith("/*") || wide.includes(":")) return false;
  const prefix = wide.slice(0, -1);
  return narrow.startsWith(prefix) || narrow === prefix.slice(0, -1);
}

function bothMethods(own: readonly string[], theirs: readonly string[]): readonly string[] | "none" {
  if (own.length === 0 || theirs.length === 0) return [...own, ...theirs];
  const common = own.filter((method) => theirs.includes(method));
  return common.length === 0 ? "none" : common;
}

/** Filters that may send more than once come last, so that what stands before them is sent once. */
const repeating = ["retry", "hedge"];

/** The route's own, then the document's, unless the route has one of that name. */
function bothFilters(own: readonly FilterEntry[], theirs: readonly FilterEntry[]): readonly FilterEntry[] {
  const added = theirs.filter(({ name }) => own.every((one) => one.name !== name));
  const repeats = ({ name }: FilterEntry) => repeating.includes(name);
  const once = (entry: FilterEntry) => !repeats(entry);
  return [...own.filter(once), ...added.filter(once), ...own.filter(repeats), ...added.filter(repeats)];
}
