/**
 * Hosts that are not in the mesh, as its callers name them: their addresses are the endpoints of one service, which
 * knows those that were asked for last. Names are resolved here and not by the socket, so that the address that was
 * judged is the one that is connected to.
 */
import type {
  EndpointConfig,
  ListenerConfig,
  ServiceConfig,
  ServiceState,
  Snapshot,
} from "../../snapshot.ts";
import type { Meters } from "../../types.ts";
import type { KeyedRequest } from "../balance/policy.ts";
import { addressText, type Candidates, type Endpoint, type ServiceParts, type Waiter } from "../endpoint.ts";
import { ANSWERS, type Answer } from "../failures.ts";
import { OccasionalNote } from "../occasional-note.ts";
import { type Destination, Service } from "../service.ts";
import type { HostNames } from "./host-names.ts";
import { ipAddress, isLoopback, mayBeReached } from "./ip-address.ts";

/** Its name in metrics and logs; no service of a config can have it. */
export const OUTSIDE = "(outside)";
/** Addresses that are known at a time, with their idle connections: the longest unasked is forgotten first. */
export const OUTSIDE_ADDRESSES_MAX = 256;
const requestsMax = 1024;
const connectTimeoutMs = 1_000;
const idleTimeoutMs = 55_000;

/** Where somebody wants to go. */
export interface OutsideTarget {
  /** In lower case, an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number;
}

export class Outside {
  readonly #service: Service;
  readonly #names: HostNames;
  readonly #parts: ServiceParts;
  readonly #problems: OccasionalNote;
  /** By the address as text, the longest unasked first. */
  readonly #known = new Map<string, EndpointConfig>();

  constructor(
    readonly limits: ListenerConfig["limits"],
    parts: ServiceParts,
    names: HostNames,
  ) {
    this.#names = names;
    this.#problems = new OccasionalNote(parts.deadlines);
    this.#parts = { ...parts, meters: oneSeries(parts.meters), ejected: () => {}, counted: () => {} };
    this.#service = new Service(configOf(limits), this.#parts, { zone: null, state: null, before: null });
  }

  /** An answer when nobody may or can be reached there. */
  async find({ host, port }: OutsideTarget, snapshot: Snapshot): Promise<Destination | Answer> {
    const literal = ipAddress(host);
    const { addresses, problem } =
      literal === null
        ? await this.#names.find(host, snapshot.resolver)
        : { addresses: [literal], problem: null };
    if (addresses.length === 0) {
      this.#problems.note((unsaid) =>
        this.#parts.log.info("a host outside the mesh was not found", { host, problem, unsaid }),
      );
      return ANSWERS["host-not-found"];
    }
    const reachable = addresses.filter((address) => mayBeReached(ipAddress(address) ?? address));
    if (reachable.length === 0) return { ...ANSWERS["egress-denied"], sentence: NOT_REACHED };
    const others = await this.#notBack(reachable, port, snapshot);
    return others.length === 0 ? ANSWERS["loop-detected"] : this.#destination(others, port);
  }

  retire(): void {
    this.#service.retire();
  }

  /** Without those that are this node's own listeners: what goes there comes here again. */
  async #notBack(
    addresses: readonly string[],
    port: number,
    { listeners, admin }: Snapshot,
  ): Promise<readonly string[]> {
    const own = [...listeners.map(({ bind }) => bind), admin].flatMap((bind) =>
      "port" in bind && bind.port === port ? [bind.host] : [],
    );
    if (own.length === 0) return addresses;
    const anywhere = own.includes("0.0.0.0") || own.includes("::");
    const machine = anywhere ? await this.#names.own() : [];
    const loopback = anywhere || own.includes("localhost");
    return addresses.filter((address) => {
      if (own.includes(address) || machine.includes(address)) return false;
      return !(loopback && isLoopback(address));
    });
  }

  #destination(addresses: readonly string[], port: number): Destination {
    const configs = addresses.map(
      (host): EndpointConfig => ({ address: { host, port }, weight: 1, zone: null, version: null }),
    );
    const names = configs.slice(0, OUTSIDE_ADDRESSES_MAX).map(({ address }) => addressText(address));
    const isNew = names.some((name) => !this.#known.has(name));
    for (const [at, name] of names.entries()) {
      this.#known.delete(name);
      this.#known.set(name, configs[at]!);
    }
    if (isNew) this.#learned();
    const wanted = new Set(names);
    const endpoints = this.#service.endpoints.filter(({ name }) => wanted.has(name));
    return { service: this.#service, candidates: new OutsideCandidates(endpoints, this.#parts) };
  }

  #learned(): void {
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= OUTSIDE_ADDRESSES_MAX) break;
      this.#known.delete(oldest);
    }
    this.#service.update({ ...nothingElse, discovered: [...this.#known.values()] });
  }
}

/** All addresses of one host. */
class OutsideCandidates implements Candidates {
  readonly #endpoints: readonly Endpoint[];
  readonly #random: ServiceParts["random"];

  constructor(endpoints: readonly Endpoint[], { random }: ServiceParts) {
    this.#endpoints = endpoints;
    this.#random = random;
  }

  get size(): number {
    return this.#endpoints.length;
  }

  get emptiness(): string {
    return "the host has no address";
  }

  pick(tried: readonly Endpoint[], _request: KeyedRequest): Endpoint | null {
    const untried = this.#endpoints.filter((endpoint) => !tried.includes(endpoint));
    const left = untried.length > 0 ? untried : this.#endpoints;
    return left[Math.floor(this.#random.fraction() * left.length)] ?? null;
  }

  pickInstead(unreachable: readonly Endpoint[], waiter: Waiter): Endpoint | null {
    const endpoint = this.pick(unreachable, waiter);
    return endpoint === null || unreachable.includes(endpoint) ? null : endpoint;
  }

  accepts(endpoint: Endpoint): boolean {
    return this.#endpoints.includes(endpoint);
  }
}

/** Any number of hosts is one series. */
function oneSeries(meters: Meters): Meters {
  return {
    route: (listener, route) => meters.route(listener, route),
    endpoint: () => meters.endpoint(OUTSIDE, ""),
    endpoints: (service, counts) => meters.endpoints(service, counts),
    connections: (side, change) => meters.connections(side, change),
    filter: (name, version, durationMs) => meters.filter(name, version, durationMs),
    count: (name, help, labels) => meters.count(name, help, labels),
    observe: (name, help, milliseconds) => meters.observe(name, help, milliseconds),
  };
}

const nothingElse: ServiceState = {
  service: OUTSIDE,
  discovered: [],
  discoveryProblem: null,
  unhealthy: [],
  ejected: [],
};

/** Its endpoints come as they are asked for, as if a registry named them. */
function configOf(limits: ListenerConfig["limits"]): ServiceConfig {
  return {
    name: OUTSIDE,
    endpoints: [],
    dns: null,
    registry: OUTSIDE,
    loadBalancing: { policy: "random" },
    slowStartMs: 0,
    panicShare: 0,
    healthCheck: null,
    outlierDetection: null,
    tls: null,
    limits: { connections: requestsMax, pending: requestsMax, requests: requestsMax },
    timeouts: { connectMs: connectTimeoutMs, idleMs: idleTimeoutMs },
    messageLimits: { ...limits, idleTimeoutMs },
    place: { file: "", line: 1 },
  };
}

const NOT_REACHED = "link-local addresses are reached by nobody through this node";
