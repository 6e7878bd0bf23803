/** A service made live: its endpoints, their connections, and the limits towards it. */
import type { ServiceConfig, ServiceState } from "../snapshot.ts";
import type { Failure, Log } from "../types.ts";
import type { KeyedRequest } from "./balance/policy.ts";
import { Endpoint, type EndpointOwner, type ServiceParts, type Waiter } from "./endpoint.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import { OccasionalNote } from "./occasional-note.ts";
import { Roster } from "./roster.ts";
import { ServiceTargets } from "./tls/service-targets.ts";

/** What a service is besides its config. */
export interface ServiceSetting {
  /** Where this node stands; null when zones do not count. */
  readonly zone: string | null;
  readonly state: ServiceState | null;
  /** The one of this name under the former config: what it learned about its endpoints goes on to count. */
  readonly before: Service | null;
}

export class Service implements EndpointOwner {
  readonly zone: string | null;
  readonly roster: Roster;
  retired = false;
  /** Null for plain connections. */
  readonly targets: ServiceTargets | null;
  /** Tries that were begun and have no end yet; those that wait are among them. */
  requests = 0;
  connections = 0;
  /** In line, the longest first. */
  readonly #waiting = new Set<Waiter>();
  readonly #failures: OccasionalNote;

  /** Throws an Error that says what is wrong with the service's certificates. */
  constructor(
    readonly config: ServiceConfig,
    readonly parts: ServiceParts,
    { zone, state, before }: ServiceSetting,
  ) {
    const { tls } = config;
    this.zone = zone;
    this.targets = tls === null ? null : new ServiceTargets({ ...config, tls }, parts.sockets);
    this.#failures = new OccasionalNote(parts.deadlines);
    this.roster = new Roster(
      { ...parts, config, zone, create: (endpoint, former) => new Endpoint(this, endpoint, former) },
      state,
      before?.roster ?? null,
    );
  }

  get endpoints(): readonly Endpoint[] {
    return this.roster.endpoints;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  pick(tried: readonly Endpoint[], request: KeyedRequest): Endpoint | null {
    return this.roster.pick(tried, request);
  }

  /** Null: nothing but the config is known of it. */
  update(state: ServiceState | null): void {
    this.roster.update(state);
    if (this.endpoints.length === 0) for (const waiter of [...this.#waiting]) this.#callUp(waiter);
  }

  failed(endpoint: Endpoint): void {
    this.roster.failed(endpoint);
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

  offer(connection: UpstreamConnection, endpoint: Endpoint): "taken" | "free" | "surplus" {
    const [waiter] = this.#waiting;
    if (waiter === undefined) return "free";
    const fits =
      this.config.loadBalancing.policy === "ring-hash"
        ? this.pick(waiter.tried, waiter) === endpoint
        : this.roster.isUsable(endpoint);
    if (!fits) return "surplus";
    this.#waiting.delete(waiter);
    waiter.use(connection, endpoint);
    return "taken";
  }

  roomMade(): void {
    const [waiter] = this.#waiting;
    if (waiter !== undefined && !this.retired) this.#callUp(waiter);
  }

  #callUp(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    waiter.roomMade();
  }

  /** Says in the log what went wrong; at most once a second, with how many were not said. */
  noteFailure(failure: Failure, log: Log): void {
    this.#failures.note((unsaid) =>
      log.warn(failure.message, { service: this.config.name, reason: failure.kind, unsaid }),
    );
  }

  /** No generation names it any more: idle connections close now, busy ones after their answer. */
  retire(): void {
    this.retired = true;
    this.roster.retire();
  }
}
