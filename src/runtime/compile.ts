/** A snapshot becomes a generation: services attached or made, filters created, chains folded. Nothing is bound here. */
import type {
  ForwardTarget,
  ListenerConfig,
  RouteConfig,
  ServiceConfig,
  ServiceState,
  Snapshot,
  SourcePlace,
} from "../snapshot.ts";
import type { FilterRegistry } from "../types.ts";
import { type Chain, compileChain, paramNames, type SendWrap, wrapSend } from "./chain.ts";
import type { ServiceParts } from "./endpoint.ts";
import { Generation, type GenerationParts } from "./generation.ts";
import { createFilters, type FilterParts, type LiveFilter } from "./live-filter.ts";
import type { LiveRoute } from "./live-route.ts";
import { createMatcher } from "./match.ts";
import { forwardProxy } from "./proxy/forward-proxy.ts";
import type { HostNames } from "./proxy/host-names.ts";
import type { WantedServices } from "./proxy/wanted-services.ts";
import { Service } from "./service.ts";
import type { Steps } from "./slices.ts";
import { SplitCandidates, type WeightedTarget } from "./split.ts";
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

/** Something in a snapshot that this worker cannot make live. */
export class CompileError extends Error {
  constructor(
    readonly place: SourcePlace,
    message: string,
  ) {
    super(message);
  }
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
        targets: new Map(),
      });
  } catch (error) {
    discard({ generation, filters }, running);
    throw error;
  }
  return { generation, filters };
}

/** Ends what does not serve, or no longer: its filters, and its services but those that the one that serves has too. */
export function discard({ generation, filters }: Compiled, serving: Generation | null): void {
  for (const filter of filters) filter.close();
  for (const [name, service] of generation.services) {
    if (serving?.services.get(name) !== service) service.retire();
  }
  for (const [name, { proxy }] of generation.listeners) {
    if (serving?.listeners.get(name)?.proxy?.outside !== proxy?.outside) proxy?.outside?.retire();
  }
}

interface ListenerMaking extends FilterMaking, Pick<CompileParts, "services" | "names" | "wanted"> {
  readonly running: Generation | null;
  /** Of routes to one service whatever its version, by its name: all of them share it. */
  readonly targets: Map<string, readonly WeightedTarget[]>;
}

interface FilterMaking {
  readonly filterParts: FilterParts;
  /** All that were created so far. */
  readonly filters: LiveFilter[];
}

/** Downstream and upstream filters, folded. */
interface Folded {
  readonly chain: Chain | null;
  readonly wrap: SendWrap | null;
}

function* addListener(generation: Generation, config: ListenerConfig, making: ListenerMaking): Steps<void> {
  const { meters } = generation.parts;
  const createdBefore = making.filters.length;
  const shared = create(config, config.name, making);
  const plain = fold(shared, null);
  const standing = shared.filter(isStanding);
  const routes: LiveRoute[] = [];
  for (const route of config.routes) {
    const { filters, match } = route;
    const own = filters.length === 0 ? [] : create(route, `${config.name}/${route.name}`, making);
    const asListener = filters.length === 0 && paramNames(match.path).length === 0;
    const folded = asListener ? plain : fold([...shared, ...own], match.path);
    const meter = meters.route(config.name, route.name);
    const { timeoutMs } = route;
    const targets = targetsOf(route, generation, making.targets);
    routes.push({
      config: route,
      name: route.name,
      meter,
      ...folded,
      targets,
      timeoutMs,
      rewrites: rewrites(route),
      standing: own.length === 0 ? standing : [...standing, ...own.filter(isStanding)],
    });
    yield;
  }
  const unmatched: LiveRoute = {
    config: null,
    name: "",
    meter: meters.route(config.name, ""),
    chain: plain.chain,
    wrap: null,
    targets: [],
    timeoutMs: null,
    rewrites: "no",
    standing,
  };
  const matcher = yield* createMatcher(routes.map((route) => ({ match: route.config!.match, value: route })));
  const certificates = yield* certificatesOf(config, generation, making.running);
  const callers = callersOf(config, generation);
  const running = making.running?.listeners.get(config.name)?.proxy ?? null;
  const proxy = forwardProxy(config, { unmatched, running }, making);
  const pseudonym = pseudonymOf(config, generation);
  const reviews = making.filters.slice(createdBefore).some(isStanding) ? "yes" : "no";
  generation.addListener({ config, pseudonym, matcher, unmatched, certificates, callers, reviews, proxy });
}

function isStanding({ stillAllows }: LiveFilter): boolean {
  return stillAllows !== null;
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

/** What cannot be made is a problem at its place in the config. */
function placed<Made>(config: { readonly place: SourcePlace }, make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    throw new CompileError(config.place, error instanceof Error ? error.message : String(error));
  }
}

function create(
  owner: ListenerConfig | RouteConfig,
  scope: string,
  { filterParts, filters }: FilterMaking,
): LiveFilter[] {
  const created = placed(owner, () => createFilters(owner.filters, filterParts, scope));
  filters.push(...created);
  return created;
}

function fold(filters: readonly LiveFilter[], path: string | null): Folded {
  return { chain: compileChain(filters, path), wrap: wrapSend(filters) };
}

function targetsOf(
  route: RouteConfig,
  { services }: Generation,
  shared: ListenerMaking["targets"],
): readonly WeightedTarget[] {
  const { action } = route;
  if (action.kind !== "forward") return NO_TARGETS;
  const [only, ...more] = action.to;
  const isShared = more.length === 0 && only!.version === null;
  const known = isShared ? shared.get(only!.service) : undefined;
  if (known !== undefined) return known;
  const targets = action.to.map((target): WeightedTarget => {
    const { service: name, version, weight } = target;
    const service = services.get(name);
    if (service === undefined) throw new CompileError(route.place, `no service is called "${name}"`);
    if (version === null) return { ...service.destination(null), version, weight };
    const candidates = new SplitCandidates(service, version, versionsBeside(target, action.to));
    return { service, candidates, version, weight };
  });
  if (isShared) shared.set(only!.service, targets);
  return targets;
}

const NO_TARGETS: readonly WeightedTarget[] = [];

/** Versions of the same service that the route sends requests to as well. */
function versionsBeside(target: ForwardTarget, all: readonly ForwardTarget[]): string[] {
  const others = all.filter(({ service, version, weight }) => {
    return service === target.service && version !== target.version && weight > 0;
  });
  return others.flatMap(({ version }) => version ?? []);
}

function rewrites({ action }: RouteConfig): "yes" | "no" {
  if (action.kind !== "forward") return "no";
  return action.rewrite.path === null && action.rewrite.host === null ? "no" : "yes";
}

/** The place in the file may move; everything else that differs makes it another service. */
function isSame(before: ServiceConfig, now: ServiceConfig): boolean {
  return JSON.stringify({ ...before, place: null }) === JSON.stringify({ ...now, place: null });
}
