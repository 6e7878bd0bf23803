/** What a sidecar serves: made of what it knows of the mesh, of who it is, and of its place beside the app. */
import { serviceLimitsGrammar, timeoutsGrammar } from "../../config/grammar/service.ts";
import { defaultLimits, usedServicesMax, workerMemoryBytes } from "../../config/limits.ts";
import type { Address } from "../../machine.ts";
import type { MeshService } from "../../mesh.ts";
import type {
  HealthCheckConfig,
  ListenerCertificate,
  ListenerConfig,
  RouteConfig,
  ServiceConfig,
  Snapshot,
  SourcePlace,
} from "../../snapshot.ts";
import { type MeshKnowledge, ruleState } from "./mesh-view.ts";
import type { OwnCredentials } from "./node-state.ts";
import {
  calledService,
  meshHost,
  ownCertificate,
  pluginsOf,
  rulesOf,
  withNewestRoots,
  withOthers,
} from "./used-services.ts";

/** What the one who starts a sidecar says of it. */
export interface SidecarRole {
  readonly service: string;
  readonly app: Address;
  readonly inbound: Address;
  readonly outbound: Address;
  readonly admin: Address;
  readonly zone: string | null;
  readonly drainMs: number;
  readonly log: Snapshot["log"];
  readonly upstreams: readonly Upstream[];
}

/** A port of this machine that leads to one service, for clients that know no proxy. */
export interface Upstream {
  readonly service: string;
  readonly bind: Address;
}

export interface SidecarFacts {
  readonly version: number;
  readonly role: SidecarRole;
  readonly credentials: OwnCredentials;
  /** Null before the first feed. */
  readonly knowledge: MeshKnowledge | null;
  /** Services whose rules this node cannot use, and why not. */
  readonly refused: ReadonlyMap<string, string>;
  /** Services that the app asked for, beside those of the role. */
  readonly wanted: readonly string[];
  /** An app that has not answered yet is not checked: it would be unwell for a while after it began. */
  readonly app: "answers" | "awaited";
}

/**
 * From the last byte of a request to the head of its answer. Its caller has the deadline that the mesh document sets,
 * and leaves when it ends.
 */
const inboundTimeoutMs = 86_400_000;
/** Where the mesh document says nothing: a connection is enough. */
const appCheck: HealthCheckConfig = {
  path: null,
  host: null,
  intervalMs: 5_000,
  timeoutMs: 1_000,
  healthy: 2,
  unhealthy: 3,
};

/** Of the listener that the mesh calls. */
export const inboundName = "inbound";

/** What its app is called among the services of its snapshot; no service of a mesh can have this name. */
export function appName(service: string): string {
  return `${service}:app`;
}

/** Whom this sidecar has to hear of. */
export function subscribed({ role, wanted, knowledge }: Pick<SidecarFacts, "role" | "wanted" | "knowledge">) {
  const others = rulesOf(knowledge, role.service)?.callee?.others ?? [];
  const called = [...role.upstreams.map(({ service }) => service), ...wanted, ...others];
  return { own: role.service, called: withOthers(called, knowledge) };
}

export function sidecarSnapshot(given: SidecarFacts): Snapshot {
  const facts = { ...given, credentials: withNewestRoots(given.credentials, given.knowledge) };
  const { role, credentials, knowledge } = facts;
  const called = subscribed(facts).called.slice(0, usedServicesMax);
  const services = called.flatMap((name) => {
    const rules = rulesOf(knowledge, name);
    return rules === null ? [] : [calledService(rules, credentials)];
  });
  const { trustDomain, identity } = credentials;
  return {
    version: facts.version,
    folder: "",
    admin: role.admin,
    drainMs: role.drainMs,
    zone: role.zone,
    connectionsMax: defaultLimits.connections,
    workerMemoryBytes,
    paths: { dotSegments: "reject", slashes: "keep", escapedSlash: "keep" },
    resolver: { servers: [], timeoutMs: 1_000 },
    membership: null,
    mesh: { trustDomain, identity, removed: knowledge?.mesh.removed ?? [] },
    log: role.log,
    listeners: [
      inbound(facts),
      outbound(facts, called),
      ...role.upstreams.map((upstream) => upstreamListener(upstream, facts)),
    ],
    services: [appService(facts), ...services],
    plugins: pluginsOf([role.service, ...called], knowledge),
  };
}

function inbound(facts: SidecarFacts): ListenerConfig {
  const { role, credentials, knowledge } = facts;
  const rules = rulesOf(knowledge, role.service);
  const callee = rules?.callee ?? null;
  const certificate: ListenerCertificate = {
    ...ownCertificate(credentials),
    clientCa: credentials.roots,
    clientCaFile: null,
    clientAuth: callee?.mtls === "permissive" ? "optional" : "required",
    versionMin: "1.2",
  };
  const place = rules?.place ?? placeOf(role);
  const app: RouteConfig = {
    name: "app",
    match: anything,
    filters: callee?.inbound ?? [],
    timeoutMs: inboundTimeoutMs,
    action: forwardTo(appName(role.service)),
    place,
  };
  return {
    ...plainListener(inboundName, role.inbound, place),
    protocol: "https",
    tls: [certificate],
    callers: callee?.mtls === "permissive" ? "mesh-or-plain" : "mesh",
    // Nobody is let in before it is known who may.
    routes: [callee === null ? unavailable(missing(facts, role.service), place) : app],
  };
}

function outbound(facts: SidecarFacts, called: readonly string[]): ListenerConfig {
  const { role, knowledge } = facts;
  const routes = called.flatMap((name) => {
    const rules = rulesOf(knowledge, name);
    const host = meshHost(name);
    if (rules === null) return [under(host, name, notCallable(facts, name, placeOf(role)))];
    return rules.caller.routes.map((route) => under(host, name, route));
  });
  return {
    ...plainListener("outbound", role.outbound, placeOf(role)),
    proxy: { egress: knowledge?.mesh.egress ?? "deny" },
    routes,
  };
}

function upstreamListener({ service, bind }: Upstream, facts: SidecarFacts): ListenerConfig {
  const { role, knowledge } = facts;
  const rules = rulesOf(knowledge, service);
  const place = rules?.place ?? placeOf(role);
  const routes = rules?.caller.routes ?? [notCallable(facts, service, place)];
  return { ...plainListener(`upstream-${service}`, bind, place), routes };
}

/** Routes of several services stand in one listener. */
function under(host: string, service: string, route: RouteConfig): RouteConfig {
  return { ...route, name: `${service}/${route.name}`, match: { ...route.match, host } };
}

function appService({ role, knowledge, app }: SidecarFacts): ServiceConfig {
  const rules: MeshService | null = rulesOf(knowledge, role.service);
  const { connect, idle } = timeoutsGrammar.parse({});
  return {
    name: appName(role.service),
    endpoints: [{ address: role.app, weight: 1, zone: null, version: null }],
    dns: null,
    registry: null,
    loadBalancing: { policy: "round-robin" },
    slowStartMs: 0,
    panicShare: 0,
    healthCheck: app === "awaited" ? null : (rules?.callee?.healthCheck ?? appCheck),
    outlierDetection: null,
    tls: null,
    limits: serviceLimitsGrammar.parse({}),
    timeouts: { connectMs: connect, idleMs: idle },
    messageLimits: { ...defaultLimits, idleTimeoutMs: idle },
    place: rules?.place ?? placeOf(role),
  };
}

function plainListener(name: string, bind: Address, place: SourcePlace): ListenerConfig {
  return {
    name,
    bind,
    place,
    protocol: "http",
    tls: [],
    callers: "anyone",
    trustedHops: 0,
    proxy: null,
    limits: defaultLimits,
    filters: [],
    routes: [],
  };
}

export const anything: RouteConfig["match"] = { host: null, path: null, methods: [], headers: [], query: [] };

function forwardTo(service: string): RouteConfig["action"] {
  return {
    kind: "forward",
    to: [{ service, version: null, weight: 1 }],
    rewrite: { path: null, host: null },
  };
}

/** In the place of the routes of a service that has none. */
function notCallable(facts: SidecarFacts, service: string, place: SourcePlace): RouteConfig {
  const isMissing = !facts.refused.has(service) && ruleState(facts.knowledge, service) === "missing";
  return unavailable(missing(facts, service), place, isMissing ? "no-such-service" : "service-unknown");
}

/** Why there is nothing to serve under the name of a service. */
function missing({ knowledge, refused }: SidecarFacts, service: string): string {
  if (knowledge === null) {
    return `this node has not heard from its coordinator yet, so it knows nothing of ${service}`;
  }
  const refusal = refused.get(service);
  if (refusal !== undefined) return `this node refuses the mesh document's rules of ${service}: ${refusal}`;
  const state = ruleState(knowledge, service);
  if (state === "unheard") return `this node has not heard of ${service} from its coordinator yet`;
  return state === "missing"
    ? notInDocument(service)
    : `the mesh document says that ${service} is outside the mesh (endpoints or dns): no sidecar stands beside it`;
}

export function notInDocument(service: string): string {
  return `the mesh document has no service ${service}: add it under services, and apply it`;
}

/** The second: nobody in the mesh knows more. Of the first this node may, in a while. */
const unavailableStatus = { "service-unknown": 503, "no-such-service": 502 } as const;

/** Better than a port where nobody answers: it says what to do. */
export function unavailable(
  why: string,
  place: SourcePlace,
  reason: keyof typeof unavailableStatus = "service-unknown",
): RouteConfig {
  const action: RouteConfig["action"] = {
    kind: "respond",
    status: unavailableStatus[reason],
    headers: [["x-clearway-reason", reason]],
    body: `${reason}: ${why}\n`,
  };
  return { name: "unavailable", match: anything, filters: [], timeoutMs: inboundTimeoutMs, action, place };
}

function placeOf({ service }: SidecarRole): SourcePlace {
  return { file: `sidecar ${service}`, line: 1 };
}
