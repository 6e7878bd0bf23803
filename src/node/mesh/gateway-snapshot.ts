/** What a gateway serves: its own file, and where that names a service of the mesh, what the mesh document says of it. */
import { defaultLimits, usedServicesMax } from "../../config/limits.ts";
import type { MeshService } from "../../mesh.ts";
import type { ForwardTarget, Rewrite, RouteConfig, ServiceConfig, Snapshot } from "../../snapshot.ts";
import type { MeshKnowledge } from "./mesh-view.ts";
import type { OwnCredentials } from "./node-state.ts";
import { anything, unavailable } from "./sidecar-snapshot.ts";
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
  const used = withOthers(registeredServices(file), knowledge).slice(0, usedServicesMax);
  const rules = (name: string) => rulesOf(knowledge, name);
  const registered = new Map(file.services.map(({ name, registry }) => [name, registry]));
  const registryOf = (service: string) => registered.get(service) ?? null;
  const here = new Set(file.services.map(({ name, registry }) => registry ?? name));
  const others = used.filter((name) => !here.has(name)).flatMap((name) => rules(name) ?? []);
  return {
    ...file,
    mesh: { trustDomain, identity, removed: knowledge?.mesh.removed ?? [] },
    listeners: file.listeners.map((listener) => ({
      ...listener,
      routes: listener.routes.map((route) => withRules(route, { rules, refused, registryOf })),
    })),
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

// ---- routes ----

interface MeshRules {
  rules(name: string): MeshService | null;
  readonly refused: GatewayFacts["refused"];
  /** What the mesh calls a service of the file; null for one that is none of the mesh's. */
  registryOf(service: string): string | null;
}

/**
 * The file's routes say which services get a request; then it goes by what the mesh document says of the one that it goes
 * to: docs/decisions/gateway-routes.md.
 */
function withRules(route: RouteConfig, mesh: MeshRules): RouteConfig {
  const { action } = route;
  if (action.kind !== "forward") return route;
  const ruled = action.to.map((target) => ({ target, rules: rulesFor(target, route, mesh) }));
  if (ruled.every(({ rules }) => rules === null)) return route;
  const [first, ...more] = ruled;
  const [one, ...others] = first!.rules ?? [];
  if (more.length === 0 && others.length === 0 && one?.action.kind === "forward") return inOne(route, one);
  const to = ruled.map(({ target, rules }) => ({ ...target, routes: rules ?? [alone(route, target)] }));
  return { ...route, action: { ...action, to } };
}

/** By which routes the target's share of the requests goes; null where the mesh document has no word in it. */
function rulesFor(
  { service }: ForwardTarget,
  route: RouteConfig,
  { rules, refused, registryOf }: MeshRules,
): readonly RouteConfig[] | null {
  const registry = registryOf(service);
  if (registry === null) return null;
  const refusal = refused.get(registry);
  if (refusal !== undefined) {
    const why = `this node refuses the mesh document's rules of ${registry}: ${refusal}`;
    return [{ ...unavailable(why, route.place), name: route.name }];
  }
  const found = rules(registry);
  return found?.caller.routes.map((theirs) => joined(route, theirs, { name: service, registry })) ?? null;
}

/** A service of which the file says all. */
function alone(own: RouteConfig, target: ForwardTarget): RouteConfig {
  const action = { kind: "forward", to: [target], rewrite: rewriteOf(own) } as const;
  return { ...own, match: anything, filters: [], action };
}

/** A route of the document as it holds within the file's: what the file says goes before. */
function joined(
  own: RouteConfig,
  theirs: RouteConfig,
  called: { readonly name: string; readonly registry: string },
): RouteConfig {
  const { match, filters, action, timeoutMs } = theirs;
  const conditions = match.methods.length + match.headers.length + match.query.length;
  const isRest = match.path === null && conditions === 0;
  const to = (target: ForwardTarget) =>
    target.service === called.registry ? { ...target, service: called.name } : target;
  return {
    ...theirs,
    name: isRest ? own.name : `${own.name}/${theirs.name}`,
    filters: filters.filter(({ name }) => own.filters.every((one) => one.name !== name)),
    timeoutMs: ownTimeout(own) ? own.timeoutMs : timeoutMs,
    action:
      action.kind === "forward"
        ? { ...action, to: action.to.map(to), rewrite: bothRewrites(rewriteOf(own), rewriteOf(theirs)) }
        : action,
  };
}

/** One route says all: nothing is left to be chosen when a request comes. */
function inOne(own: RouteConfig, only: RouteConfig): RouteConfig {
  const { filters, timeoutMs, action } = only;
  return { ...own, filters: [...own.filters, ...filters], timeoutMs, action };
}

/** Whether its file says it: at the route itself, or as a limit that is no default. */
function ownTimeout({ timeoutMs, timeoutSource }: RouteConfig): boolean {
  return timeoutSource === "written" || timeoutMs !== defaultLimits.routeTimeoutMs;
}

/** With the match whose `*` it means, which is not the one of the route that it becomes a part of. */
function rewriteOf({ action, match }: RouteConfig): Rewrite {
  if (action.kind !== "forward") return { path: null, host: null };
  return action.rewrite.path === null ? action.rewrite : { ...action.rewrite, match };
}

function bothRewrites(own: Rewrite, theirs: Rewrite): Rewrite {
  const path = own.path === null ? theirs : own;
  return { ...path, host: own.host ?? theirs.host };
}
