/** A service made live: its endpoints, their connections, and the limits towards it. */
import type { EndpointConfig, ServiceConfig } from "../snapshot.ts";
import type {
  Address,
  Clock,
  EndpointMeter,
  Failure,
  Log,
  Meters,
  Random,
  SocketError,
  Sockets,
} from "../types.ts";
import { type Balancer, createBalancer, EndpointLoad } from "./balance.ts";
import type { Deadlines } from "./deadlines.ts";
import { type ConnectionKeeper, UpstreamConnection } from "./http1/upstream.ts";
import { ServiceTargets } from "./tls/service-targets.ts";

export interface ServiceParts {
  readonly sockets: Sockets;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly random: Random;
  readonly meters: Meters;
}

/** What waits for a connection: one try of one request. */
export interface Waiter {
  /** A connection is ready for it. */
  use(connection: UpstreamConnection, endpoint: Endpoint): void;
  connectFailed(endpoint: Endpoint, error: SocketError): void;
  /** Whether it still waits. */
  readonly waiting: "yes" | "no";
}

/** Failures of one service are logged at most this often. */
const NOTE_PERIOD_MS = 1_000;

export function addressText(address: Address): string {
  if ("unixPath" in address) return `unix:${address.unixPath}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** One address of a service and the connections to it. */
export class Endpoint implements ConnectionKeeper {
  readonly name: string;
  readonly load: EndpointLoad;
  readonly meter: EndpointMeter;
  readonly idleTimeoutMs: number;
  /** All connections, those being made included. */
  readonly open = new Set<UpstreamConnection>();
  /** Ready ones; the last used comes first, so that the surplus ages and closes. */
  readonly #ready: UpstreamConnection[] = [];
  /** Which try each connection that is being made is for. */
  readonly #dialing = new Map<UpstreamConnection, Waiter>();
  readonly #service: Service;
  readonly #config: EndpointConfig;

  constructor(service: Service, config: EndpointConfig) {
    this.#service = service;
    this.#config = config;
    this.name = addressText(config.address);
    this.load = new EndpointLoad(config.weight, service.parts.clock);
    this.meter = service.parts.meters.endpoint(service.config.name, this.name);
    this.idleTimeoutMs = service.config.timeouts.idleMs;
  }

  get limits() {
    return this.#service.config.messageLimits;
  }

  get deadlines(): Deadlines {
    return this.#service.parts.deadlines;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** A connection that was used before and is ready now. */
  takeReady(): UpstreamConnection | null {
    return this.#ready.pop() ?? null;
  }

  dial(waiter: Waiter): void {
    const connection = new UpstreamConnection(this);
    this.open.add(connection);
    this.#dialing.set(connection, waiter);
    const { address } = this.#config;
    connection.open(this.#service.parts.sockets, {
      address,
      tls: this.#service.targets?.to(address) ?? null,
      connectTimeoutMs: this.#service.config.timeouts.connectMs,
    });
  }

  connected(connection: UpstreamConnection): void {
    this.#service.parts.meters.connections("upstream", 1);
    const waiter = this.#dialing.get(connection);
    this.#dialing.delete(connection);
    if (waiter?.waiting === "yes") waiter.use(connection, this);
    else connection.ready();
  }

  connectFailed(connection: UpstreamConnection, error: SocketError): void {
    const waiter = this.#dialing.get(connection);
    this.#dialing.delete(connection);
    this.open.delete(connection);
    if (waiter?.waiting === "yes") waiter.connectFailed(this, error);
    this.#service.roomMade();
  }

  idle(connection: UpstreamConnection): void {
    if (this.#service.retired) connection.retire();
    else if (!this.#service.offer(connection, this)) this.#ready.push(connection);
  }

  closed(connection: UpstreamConnection): void {
    if (!this.open.delete(connection)) return;
    this.#service.parts.meters.connections("upstream", -1);
    const at = this.#ready.lastIndexOf(connection);
    if (at >= 0) this.#ready.splice(at, 1);
    this.#service.roomMade();
  }

  retire(): void {
    for (const connection of this.#ready.splice(0)) connection.retire();
  }
}

export class Service {
  readonly endpoints: readonly Endpoint[];
  retired = false;
  /** Null for plain connections. */
  readonly targets: ServiceTargets | null;
  /** Tries that were begun and have no end yet; those that wait are among them. */
  requests = 0;
  readonly #balancer: Balancer<Endpoint>;
  /** In line, the longest first. */
  readonly #waiting = new Set<Waiter>();
  #notedAtMs = -Infinity;
  #unnoted = 0;

  /** Throws an Error that says what is wrong with the service's certificates. */
  constructor(
    readonly config: ServiceConfig,
    readonly parts: ServiceParts,
  ) {
    const { tls } = config;
    this.targets = tls === null ? null : new ServiceTargets({ ...config, tls }, parts.sockets);
    this.endpoints = config.endpoints.map((endpoint) => new Endpoint(this, endpoint));
    this.#balancer = createBalancer(
      config.loadBalancing.policy === "round-robin" ? "round-robin" : "least-latency",
      this.endpoints,
      parts,
    );
  }

  get connections(): number {
    let count = 0;
    for (const endpoint of this.endpoints) count += endpoint.open.size;
    return count;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  pick(tried: readonly Endpoint[]): Endpoint | null {
    return this.#balancer.pick(tried);
  }

  /** Gives the waiter a ready connection, dials one, or lets it wait in line; "full" when nothing of it is allowed. */
  connect(endpoint: Endpoint, waiter: Waiter, wanted: "any" | "fresh"): "given" | "full" {
    const ready = wanted === "any" ? endpoint.takeReady() : null;
    const { connections, pending } = this.config.limits;
    if (ready !== null) waiter.use(ready, endpoint);
    else if (this.connections < connections || this.#closeSomeReady()) endpoint.dial(waiter);
    else if (this.#waiting.size < pending) this.#waiting.add(waiter);
    else return "full";
    return "given";
  }

  /** A connection that is idle at one endpoint makes room for one to another. */
  #closeSomeReady(): boolean {
    const surplus = this.endpoints.find((endpoint) => endpoint.readyCount > 0)?.takeReady();
    surplus?.retire();
    return surplus !== undefined && surplus !== null;
  }

  /** Nobody waits there any more. */
  leaveLine(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  /** Hands a connection that became ready to whoever waits longest; false when nobody does. */
  offer(connection: UpstreamConnection, endpoint: Endpoint): boolean {
    const waiter = this.#nextWaiter();
    waiter?.use(connection, endpoint);
    return waiter !== null;
  }

  /** A connection ended: whoever waits longest may try again. */
  roomMade(): void {
    if (this.#waiting.size === 0 || this.retired) return;
    const waiter = this.#nextWaiter();
    const endpoint = this.pick([]);
    if (waiter !== null && endpoint !== null) this.connect(endpoint, waiter, "any");
  }

  #nextWaiter(): Waiter | null {
    const [waiter = null] = this.#waiting;
    if (waiter !== null) this.#waiting.delete(waiter);
    return waiter;
  }

  /** Says in the log what went wrong; at most once a second, with how many were not said. */
  noteFailure(failure: Failure, log: Log): void {
    const now = this.parts.clock.now();
    if (now - this.#notedAtMs < NOTE_PERIOD_MS) {
      this.#unnoted++;
      return;
    }
    log.warn(failure.message, { service: this.config.name, reason: failure.kind, unsaid: this.#unnoted });
    this.#notedAtMs = now;
    this.#unnoted = 0;
  }

  /** No generation names it any more: idle connections close now, busy ones after their answer. */
  retire(): void {
    this.retired = true;
    for (const endpoint of this.endpoints) endpoint.retire();
  }
}
