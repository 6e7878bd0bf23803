/** A snapshot becomes a generation: services attached or made, filters created, chains folded. Nothing is bound here. */
import type { ListenerConfig, RouteMatch, ServiceConfig, ServiceState, Snapshot } from "../snapshot.ts";
import type { FilterRegistry } from "../types.ts";
import { CompileError, placed } from "./compile-error.ts";
import {
  create,
  type FilterMaking,
  isStanding,
  liveRoute,
  NO_SHARES,
  NO_TARGETS,
  surroundingsOf,
} from "./compile-routes.ts";
import type { ServiceParts } from "./endpoint.ts";
import { Generation, type GenerationParts } from "./generation.ts";
import type { FilterParts, LiveFilter } from "./live-filter.ts";
import type { LiveRoute } from "./live-route.ts";
import { createMatcher } from "./match.ts";
import { forwardProxy } from "./proxy/forward-proxy.ts";
import type { HostNames } from "./proxy/host-names.ts";
import type { WantedServices } from "./proxy/wanted-services.ts";
import { Service } from "./service.ts";
import { finished, type Steps } from "./slices.ts";
import type { WeightedTarget } from "./split.ts";
import { MeshCallers } from "./tls/mesh-callers.ts";
import { type ServerCertificate, ServerCertificates, serverCertificate } from "./tls/server-certificates.ts";

export interface CompileParts {
  readonly services: ServiceParts;
  readonly names: HostNames;
  readonly wanted: WantedServices;
  /** What the node knows of a service beside its config. */
  stateOf(service: string): ServiceState | null;
  readonly generation: GenerationParts;
  readonly filters: FilterRegistry;
  /** What filters get; `call` goes to this generation's services. */
  filterParts(call: (service: string) => Service | null): Omit<FilterParts, "filters">;
}

export interface Compiled {
  readonly generation: Generation;
  readonly filters: readonly LiveFilter[];
}

/** `running` serves now: of it goes on what did not change, services with their connections, certificates with their sessions. */
export function* compile(
  snapshot: Snapshot,
  running: Generation | null,
  parts: CompileParts,
): Steps<Compiled> {
  const services = new Map<string, Service>();
  for (const config of snapshot.services) {
    const before = running?.services.get(config.name) ?? null;
    const { zone } = snapshot;
    const kept = before !== null && before.zone === zone && isSame(before.config, config) ? before : null;
    const setting = { zone, state: parts.stateOf(config.name), before };
    services.set(config.name, kept ?? placed(config, () => new Service(config, parts.services, setting)));
    yield;
  }
  const generation = new Generation(snapshot, services, parts.generation);
  const toolParts = parts.filterParts((name) => services.get(name) ?? null);
  const filterParts = { ...toolParts, filters: parts.filters };
  const filters: LiveFilter[] = [];
  try {
    for (const listener of snapshot.listeners)
      yield* addListener(generation, listener, {
        ...parts,
        running,
        filterParts,
        filters,
      });
  } catch (error) {
    finished(ending({ generation, filters }, running));
    throw error;
  }
  return { generation, filters };
}

/** Ends what does not serve, or no longer: its filters, and its services but those that the one that serves has too. */
export function* ending({ generation, filters }: Compiled, serving: Generation | null): Steps<void> {
  for (const filter of filters) {
    filter.close();
    yield;
  }
  for (const [name, service] of generation.services) {
    if (serving?.services.get(name) !== service) service.retire();
    yield;
  }
  for (const [name, { proxy }] of generation.listeners) {
    if (serving?.listeners.get(name)?.proxy?.outside !== proxy?.outside) proxy?.outside?.retire();
  }
}

interface ListenerMaking extends FilterMaking, Pick<CompileParts, "services" | "names" | "wanted"> {
  readonly running: Generation | null;
}

function* addListener(generation: Generation, config: ListenerConfig, making: ListenerMaking): Steps<void> {
  const { meters } = generation.parts;
  const createdBefore = making.filters.length;
  const around = surroundingsOf(config.name, create(config, config.name, making));
  const routeMaking = { ...making, generation, targets: new Map<string, readonly WeightedTarget[]>() };
  const routes: { readonly match: RouteMatch; readonly value: LiveRoute }[] = [];
  for (const route of config.routes) {
    routes.push({ match: route.match, value: yield* liveRoute(route, around, routeMaking) });
    yield;
  }
  const unmatched: LiveRoute = {
    config: null,
    name: "",
    meter: meters.route(config.name, ""),
    chain: around.folded.chain,
    wrap: null,
    targets: NO_TARGETS,
    timeoutMs: null,
    rewrites: "no",
    standing: around.standing,
    shares: NO_SHARES,
    shareOf: null,
  };
  const matcher = yield* createMatcher(routes);
  const certificates = yield* certificatesOf(config, generation, making.running);
  const callers = callersOf(config, generation);
  const running = making.running?.listeners.get(config.name)?.proxy ?? null;
  const proxy = forwardProxy(config, { unmatched, running }, making);
  const pseudonym = pseudonymOf(config, generation);
  const reviews = making.filters.slice(createdBefore).some(isStanding) ? "yes" : "no";
  generation.addListener({ config, pseudonym, matcher, unmatched, certificates, callers, reviews, proxy });
}

/**
 * A node beside an app stands on both of its sides: what comes in for the app, and goes out again with the same Via, as
 * an app that is a proxy sends it, is no loop, nor is a service that calls itself.
 */
function pseudonymOf({ name }: ListenerConfig, { parts, snapshot }: Generation): string {
  return snapshot.mesh === null ? parts.pseudonym : `${parts.pseudonym}-${name}`;
}

function callersOf({ callers, place, protocol }: ListenerConfig, generation: Generation): MeshCallers | null {
  const { mesh } = generation.snapshot;
  if (callers === "anyone") return null;
  if (mesh === null || protocol !== "https") {
    throw new CompileError(place, "a listener for callers of the mesh needs a mesh, and https");
  }
  return new MeshCallers({
    trustDomain: mesh.trustDomain,
    removed: mesh.removed,
    plain: callers === "mesh" ? "refused" : "served",
    nameless: "refused",
    epochMs: () => generation.parts.epochMs(),
  });
}

function* certificatesOf(
  config: ListenerConfig,
  { parts }: Generation,
  running: Generation | null,
): Steps<ServerCertificates | null> {
  if (config.protocol === "http") return null;
  const before = running?.listeners.get(config.name)?.certificates ?? null;
  const made: ServerCertificate[] = [];
  for (const entry of config.tls) {
    made.push(before?.madeFor(entry) ?? placed(entry, () => serverCertificate(entry, parts.sockets)));
    yield;
  }
  return new ServerCertificates(made);
}

/** The place in the file may move; everything else that differs makes it another service. */
function isSame(before: ServiceConfig, now: ServiceConfig): boolean {
  return JSON.stringify({ ...before, place: null }) === JSON.stringify({ ...now, place: null });
}
