/**
 * What the node finds out about its services beside their config: where they are, which endpoints are well, and which
 * were ejected by a worker. Once for the whole node; every change goes to the workers as one complete list.
 */
import type {
  Ejection,
  EndpointConfig,
  ResolverConfig,
  ServiceConfig,
  ServiceState,
  Snapshot,
} from "../../snapshot.ts";
import { DnsDiscovery, type DnsDiscoveryParts } from "./dns-discovery.ts";
import { Ejections } from "./ejections.ts";
import type { EndpointChecksParts } from "./endpoint-checks.ts";
import type { HealthView } from "./endpoint-health.ts";
import type { DiscoveryView, EndpointSource } from "./endpoint-source.ts";
import { HealthChecks } from "./health-checks.ts";
import type { Registry } from "./registry.ts";
import { RegistryDiscovery } from "./registry-discovery.ts";

export interface WatchParts
  extends Omit<DnsDiscoveryParts, "changed">,
    Omit<EndpointChecksParts, "changed" | "lanes"> {
  /** Null outside a mesh; no service is registered then. */
  readonly registry: Registry | null;
  /** Whom `find` asks from now on. */
  configureResolver(config: ResolverConfig): void;
  /** Complete each time. */
  update(states: readonly ServiceState[]): void;
}

/** Services that a config brings are looked for before it is live, all at once, for at most this long in all. */
export const FIRST_LOOKUPS_MS = 2_000;
/** Changes within this time go to the workers together. */
export const GATHER_MS = 50;

/** A config whose services are known as well as can be, and that is not live yet. */
export interface PreparedServices {
  /** It is live. */
  commit(): void;
  /** It will not be. */
  abandon(): void;
}

/** What is known of one service. */
export interface ServiceKnowledge {
  /** Those of the config, or those that discovery names. */
  readonly endpoints: readonly EndpointConfig[];
  /** Null where the config names the endpoints. */
  readonly discovery: DiscoveryView | null;
  /** By the endpoint's address as text; empty without health checks. */
  readonly health: ReadonlyMap<string, HealthView>;
}

type Watched = Pick<Snapshot, "services" | "resolver">;

/** By service and what is looked for. */
type Sources = Map<string, EndpointSource>;

export class ServiceWatch {
  readonly #parts: WatchParts;
  readonly #health: HealthChecks;
  readonly #ejections: Ejections;
  #live: Watched = { services: [], resolver: { servers: [], timeoutMs: 0 } };
  #sources: Sources = new Map();
  /** While a new config is prepared, its services are known to the workers beside the live ones. */
  #coming: Watched | null = null;
  #sent = "[]";
  #cancelUpdate: (() => void) | null = null;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#ejections = new Ejections(parts.clock);
    this.#health = new HealthChecks({ ...parts, changed: () => this.#changed() });
  }

  /** Resolves when the workers were told all there is to know about its services. Calls must not overlap. */
  async prepare(coming: Watched): Promise<PreparedServices> {
    const live = this.#live;
    this.#coming = coming;
    this.#parts.configureResolver(coming.resolver);
    const begun = this.#discover(coming.services);
    if (JSON.stringify(coming.resolver) !== JSON.stringify(live.resolver)) this.#lookUpAgain();
    await this.#within(FIRST_LOOKUPS_MS, Promise.all(begun.map(({ first }) => first)));
    this.#update();
    const settle = (watched: Watched) => {
      this.#live = watched;
      this.#coming = null;
      this.#parts.configureResolver(watched.resolver);
      this.#forgetOthers(watched.services);
      this.#checkHealth();
      this.#update();
    };
    return { commit: () => settle(coming), abandon: () => settle(live) };
  }

  onEjections(ejections: readonly Ejection[]): void {
    this.#ejections.add(ejections);
    this.#changed();
  }

  knowledge(service: ServiceConfig): ServiceKnowledge {
    const source = this.#sourceOf(service);
    return {
      endpoints: source?.endpoints ?? service.endpoints,
      discovery: source?.view() ?? null,
      health: this.#health.views(service.name),
    };
  }

  close(): void {
    this.#cancelUpdate?.();
    this.#forgetOthers([]);
    this.#health.follow([]);
  }

  #discover(services: readonly ServiceConfig[]): EndpointSource[] {
    const begun: EndpointSource[] = [];
    for (const service of services) {
      if (this.#sourceOf(service) !== null) continue;
      const source = this.#begin(service);
      if (source === null) continue;
      this.#sources.set(keyOf(service), source);
      begun.push(source);
    }
    return begun;
  }

  /** Null where the config names the endpoints. */
  #begin(service: ServiceConfig): EndpointSource | null {
    const { name, dns } = service;
    const { registry } = this.#parts;
    const parts = { ...this.#parts, changed: () => this.#discovered() };
    if (service.registry !== null && registry !== null)
      return new RegistryDiscovery({ ...parts, registry }, name, service.registry);
    if (dns === null) return null;
    return new DnsDiscovery(parts, { service: name, dns, known: this.#knownBefore(service) });
  }

  /** The same name and port under other bounds are no reason to forget where they lead. */
  #knownBefore({ name, dns }: ServiceConfig): readonly EndpointConfig[] {
    const before = this.#live.services.find((one) => one.name === name);
    const same = before?.dns?.name === dns?.name && before?.dns?.port === dns?.port;
    return same && before !== undefined ? (this.#sourceOf(before)?.endpoints ?? []) : [];
  }

  #sourceOf(service: ServiceConfig): EndpointSource | null {
    return this.#sources.get(keyOf(service)) ?? null;
  }

  #lookUpAgain(): void {
    for (const source of this.#sources.values()) source.askAgain();
  }

  #forgetOthers(services: readonly ServiceConfig[]): void {
    const kept = new Set(services.map(keyOf));
    for (const [key, source] of this.#sources) {
      if (kept.has(key)) continue;
      source.close();
      this.#sources.delete(key);
    }
  }

  #discovered(): void {
    this.#checkHealth();
    this.#changed();
  }

  #checkHealth(): void {
    this.#health.follow(
      this.#live.services.map((service) => ({
        service,
        endpoints: this.#sourceOf(service)?.endpoints ?? service.endpoints,
      })),
    );
  }

  #changed(): void {
    this.#cancelUpdate ??= this.#parts.clock.after(GATHER_MS, () => this.#update());
  }

  #update(): void {
    this.#cancelUpdate?.();
    this.#cancelUpdate = null;
    const states = this.#states();
    const text = JSON.stringify(states);
    if (text === this.#sent) return;
    this.#sent = text;
    this.#parts.update(states);
  }

  /** Of the live services, and of those that are coming: where both have one name, of the one that has endpoints. */
  #states(): ServiceState[] {
    const services = new Map(this.#live.services.filter(isWatched).map((service) => [service.name, service]));
    for (const service of this.#coming?.services.filter(isWatched) ?? []) {
      const live = services.get(service.name);
      const named = this.#sourceOf(service)?.endpoints ?? [];
      if (live === undefined || named.length > 0) services.set(service.name, service);
    }
    return [...services.values()].map((service): ServiceState => {
      const source = this.#sourceOf(service);
      const failing = this.#health.unhealthy(service.name);
      return {
        service: service.name,
        discovered: source?.endpoints ?? null,
        discoveryProblem: source?.problem ?? null,
        unhealthy: [...new Set([...failing, ...(source?.unhealthy ?? [])])],
        ejected: this.#ejections.of(service.name),
      };
    });
  }

  async #within(timeMs: number, work: Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#parts.clock.after(timeMs, resolve);
    await Promise.race([work, promise]);
    cancel();
  }
}

/** Of the others there is nothing to tell. */
function isWatched({ dns, registry, healthCheck, outlierDetection }: ServiceConfig): boolean {
  return dns !== null || registry !== null || healthCheck !== null || outlierDetection !== null;
}

function keyOf({ name, dns, registry }: ServiceConfig): string {
  return JSON.stringify([name, dns, registry]);
}
