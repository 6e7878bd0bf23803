/** One address of a service and the connections to it. */

import type { Address, Clock, Random, SocketError, Sockets } from "../machine.ts";
import type { Ejection, EndpointConfig, ServiceConfig } from "../snapshot.ts";
import type { EndpointCounts, EndpointMeter, Log, Meters } from "../types.ts";
import { EndpointLoad } from "./balance/load.ts";
import type { KeyedRequest } from "./balance/policy.ts";
import { Standing } from "./balance/standing.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ConnectionKeeper } from "./http1/call-owner.ts";
import { UpstreamConnection } from "./http1/upstream.ts";
import type { ServiceTargets } from "./tls/service-targets.ts";

export interface ServiceParts {
  readonly sockets: Sockets;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly random: Random;
  readonly meters: Meters;
  readonly log: Log;
  /** Outlier detection took an endpoint out. */
  ejected(ejection: Ejection): void;
  /** Endpoints came or went, or are well or not any more. */
  counted(service: ServiceConfig, counts: EndpointCounts): void;
}

/** Endpoints of one service that a request may go to. */
export interface Candidates {
  /** How many they are, well or not. */
  readonly size: number;
  /** Why nobody can be picked, in words. */
  readonly emptiness: string;
  /** One that is not in `tried`; when all were tried, one of them again; null when there is none. */
  pick(tried: readonly Endpoint[], request: KeyedRequest): Endpoint | null;
  /** Instead of those that this try could not reach, also one that was tried before, or is ejected; null of none. */
  pickInstead(unreachable: readonly Endpoint[], waiter: Waiter): Endpoint | null;
  /** Whether it is one of them, and may get requests at the moment. */
  accepts(endpoint: Endpoint): boolean;
}

/** What waits for a connection: one try of one request. */
export interface Waiter extends KeyedRequest {
  readonly candidates: Candidates;
  readonly tried: readonly Endpoint[];
  /** Whether it still waits. */
  readonly waiting: "yes" | "no";
  /** A connection is ready for it. */
  use(connection: UpstreamConnection, endpoint: Endpoint): void;
  connectFailed(endpoint: Endpoint, error: SocketError): void;
  /** It stood in line, and may try again. */
  roomMade(): void;
}

/** The service, as its endpoints need it. */
export interface EndpointOwner {
  readonly config: ServiceConfig;
  readonly parts: ServiceParts;
  /** Null for plain connections. */
  readonly targets: ServiceTargets | null;
  readonly retired: boolean;
  /** Open connections, those being made included. */
  connections: number;
  /** A connection became ready: does somebody take it, may it be kept, or is it in the way of those that wait? */
  offer(connection: UpstreamConnection, endpoint: Endpoint): "taken" | "free" | "surplus";
  /** A connection ended: whoever waits longest may try again. */
  roomMade(): void;
  /** A request to it failed. */
  failed(endpoint: Endpoint): void;
  /** One that failed like one that is ejected, and was not, answered a request. */
  recovered(): void;
}

export function addressText(address: Address): string {
  if ("unixPath" in address) return `unix:${address.unixPath}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * Handshakes with one endpoint at a time, in each worker. In a burst all of them would share the processor: the first is
 * done when the last is, and that can be later than the time to connect. Requests that wait meanwhile take what others
 * give back. So many are a second's work nowhere, and on a long way few enough round trips follow each other.
 */
const HANDSHAKES_MAX = 32;

export class Endpoint implements ConnectionKeeper<UpstreamConnection> {
  readonly name: string;
  zone: string | null;
  version: string | null;
  readonly load: EndpointLoad;
  /** Shared with the endpoint of an earlier config: how it does is no matter of configuration. */
  readonly standing: Standing;
  readonly idleTimeoutMs: number;
  /** All connections, those being made included. */
  readonly open = new Set<UpstreamConnection>();
  /** Ready ones; the last used comes first, so that the surplus ages and closes. */
  readonly #ready: UpstreamConnection[] = [];
  /** Which try each connection that is being made is for; null when that one got another. */
  readonly #dialing = new Map<UpstreamConnection, Waiter | null>();
  /** In line for a handshake, or a connection that becomes ready before; not more than the service may have requests. */
  readonly #queued = new Set<Waiter>();
  readonly #service: EndpointOwner;
  readonly #address: Address;
  readonly #meter: EndpointMeter;
  #left = false;

  /** `before`: the same address under the service's former config, if it had it. */
  constructor(
    service: EndpointOwner,
    { address, weight, zone, version }: EndpointConfig,
    before: Endpoint | undefined = undefined,
  ) {
    this.#service = service;
    this.#address = address;
    this.name = addressText(address);
    this.zone = zone;
    this.version = version;
    const { deadlines } = service.parts;
    // Read once for each event, which is as exact as a request can be measured here.
    this.load = new EndpointLoad(weight, { now: () => deadlines.now }, before?.load);
    this.standing = before?.standing ?? new Standing();
    this.#meter = service.parts.meters.endpoint(service.config.name, this.name);
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

  get queuedCount(): number {
    return this.#queued.size;
  }

  // ---- its connections ----

  /** A connection that was used before and is ready now. */
  takeReady(): UpstreamConnection | null {
    for (;;) {
      const connection = this.#ready.pop() ?? null;
      if (connection === null || !this.#hasOutlived(connection)) return connection;
      connection.retire();
    }
  }

  /** Whether the certificate that proved the endpoint's identity has ended. */
  #hasOutlived({ provedUntilEpochMs }: UpstreamConnection): boolean {
    return provedUntilEpochMs !== Infinity && provedUntilEpochMs <= this.#service.parts.clock.epochMs();
  }

  dial(waiter: Waiter): void {
    const { parts, targets, config } = this.#service;
    if (targets !== null && this.#dialing.size >= HANDSHAKES_MAX) {
      this.#queued.add(waiter);
      return;
    }
    const connection = new UpstreamConnection(this);
    this.open.add(connection);
    this.#service.connections++;
    this.#dialing.set(connection, waiter);
    connection.open(parts.sockets, {
      address: this.#address,
      tls:
        targets?.to(this.#address, (untilEpochMs) => {
          connection.provedUntilEpochMs = untilEpochMs;
        }) ?? null,
      connectTimeoutMs: config.timeouts.connectMs,
    });
  }

  connected(connection: UpstreamConnection): void {
    this.#service.parts.meters.connections("upstream", 1);
    const waiter = this.#dialing.get(connection);
    this.#dialing.delete(connection);
    if (waiter?.waiting === "yes") waiter.use(connection, this);
    else connection.ready();
    this.#dialNext();
  }

  connectFailed(connection: UpstreamConnection, error: SocketError): void {
    const waiter = this.#dialing.get(connection);
    this.#dialing.delete(connection);
    this.open.delete(connection);
    this.#service.connections--;
    if (waiter?.waiting === "yes") waiter.connectFailed(this, error);
    else this.failed(this.begin());
    this.#service.roomMade();
    this.#dialNext();
  }

  /** Who stands in line may choose again: perhaps another endpoint, where things have changed since. */
  #dialNext(): void {
    while (this.#dialing.size < HANDSHAKES_MAX) {
      const waiter = this.#firstQueued();
      if (waiter === null) return;
      waiter.roomMade();
    }
  }

  /** Out of the line, and with it those before who wait no more. */
  #firstQueued(): Waiter | null {
    for (const waiter of this.#queued) {
      this.#queued.delete(waiter);
      if (waiter.waiting === "yes") return waiter;
    }
    return null;
  }

  /** Who waits longest for a connection to this endpoint. What is being made for it is for the next one then. */
  #longestWaiting(): Waiter | null {
    for (const [connection, waiter] of this.#dialing) {
      if (waiter?.waiting !== "yes") continue;
      this.#dialing.set(connection, null);
      return waiter;
    }
    return this.#firstQueued();
  }

  idle(connection: UpstreamConnection): void {
    const leaves = this.#service.retired || this.#left || this.#hasOutlived(connection);
    const fate = leaves ? "surplus" : this.#service.offer(connection, this);
    if (fate === "surplus") connection.retire();
    if (fate !== "free") return;
    const waiter = this.#longestWaiting();
    if (waiter === null) this.#ready.push(connection);
    else waiter.use(connection, this);
  }

  closed(connection: UpstreamConnection): void {
    if (!this.open.delete(connection)) return;
    this.#service.connections--;
    this.#service.parts.meters.connections("upstream", -1);
    const at = this.#ready.lastIndexOf(connection);
    if (at >= 0) this.#ready.splice(at, 1);
    this.#service.roomMade();
  }

  /** Idle connections close now, busy ones after their answer. */
  leave(): void {
    this.#left = true;
    for (const connection of this.#ready.splice(0)) connection.retire();
  }

  // ---- its requests: each begins, and ends in exactly one of the ways below ----

  /** Returns the time, to be handed back at the end. */
  begin(): number {
    return this.load.begin();
  }

  /** The head of an answer came. */
  answered(startedAtMs: number, status: number): void {
    // "I cannot serve" must not look like a fast answer, or who says it gets all the traffic.
    if (status >= 502 && status <= 504) this.load.failed(startedAtMs);
    else this.load.answered(startedAtMs);
    this.#meter.record(status, this.#elapsedMs(startedAtMs));
    if (status >= 500) this.#service.failed(this);
    else if (this.standing.succeeded(this.#service.parts.deadlines.now) === "recovered")
      this.#service.recovered();
  }

  /** It could not be reached, broke off before a head, answered with something else than HTTP, or was too late. */
  failed(startedAtMs: number): void {
    this.#service.parts.deadlines.touch();
    this.load.failed(startedAtMs);
    this.#meter.record(0, this.#elapsedMs(startedAtMs));
    this.#service.failed(this);
  }

  /** Nobody wants the answer any more. */
  abandoned(startedAtMs: number): void {
    this.#service.parts.deadlines.touch();
    this.load.abandoned(startedAtMs);
  }

  #elapsedMs(startedAtMs: number): number {
    return this.#service.parts.deadlines.now - startedAtMs;
  }
}
