/** A service made live: its endpoints, their connections, and the limits towards it. */
import type { ServiceConfig, ServiceState } from "../snapshot.ts";
import type { Failure, Log } from "../types.ts";
import { type Candidates, Endpoint, type EndpointOwner, type ServiceParts, type Waiter } from "./endpoint.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import { OccasionalNote } from "./occasional-note.ts";
import { Roster } from "./roster.ts";
import { ServiceTargets } from "./tls/service-targets.ts";

const fallbacksHelp =
  "Requests that a split gave to another version, because theirs had no endpoint that was well.";

/** What a service is besides its config. */
export interface ServiceSetting {
  /** Where this node stands; null when zones do not count. */
  readonly zone: string | null;
  readonly state: ServiceState | null;
  /** The one of this name under the former config: what it learned about its endpoints goes on to count. */
  readonly before: Service | null;
}

/** Where a request goes. */
export interface Destination {
  readonly service: Service;
  readonly candidates: Candidates;
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
  readonly #fallbacks: OccasionalNote;

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
    this.#fallbacks = new OccasionalNote(parts.deadlines);
    this.roster = new Roster(
      { ...parts, config, zone, create: (endpoint, former) => new Endpoint(this, endpoint, former) },
      state,
      before?.roster ?? null,
    );
  }

  get endpoints(): readonly Endpoint[] {
    return this.roster.endpoints;
  }

  /** All of its endpoints, or those of one version. */
  destination(version: string | null): Destination {
    const { roster } = this;
    return { service: this, candidates: version === null ? roster : roster.ofVersion(version) };
  }

  get waitingCount(): number {
    return this.endpoints.reduce((sum, { queuedCount }) => sum + queuedCount, this.#waiting.size);
  }

  /** Null: nothing but the config is known of it. */
  update(state: ServiceState | null): void {
    this.roster.update(state);
    for (const waiter of [...this.#waiting]) if (waiter.candidates.size === 0) this.#callUp(waiter);
  }

  failed(endpoint: Endpoint): void {
    this.roster.failed(endpoint);
  }

  recovered(): void {
    this.roster.recovered();
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
        ? waiter.candidates.pick(waiter.tried, waiter) === endpoint
        : waiter.candidates.accepts(endpoint);
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

  /** A version that a split gives requests to has nobody who is well: the others of the split get them. */
  noteFallback(version: string): void {
    const { meters, log } = this.parts;
    const facts = { service: this.config.name, version };
    meters.count("clearway_version_fallbacks_total", fallbacksHelp, facts);
    this.#fallbacks.note((unsaid) =>
      log.warn("a version has no endpoint that is well: the others of its split get its requests", {
        ...facts,
        unsaid,
      }),
    );
  }

  /** No generation names it any more: idle connections close now, busy ones after their answer. */
  retire(): void {
    this.retired = true;
    this.roster.retire();
  }
}
