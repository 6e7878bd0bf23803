/** Who a service's endpoints are, how they are doing, and who of them gets the next request. */
import type { EndpointConfig, OutlierDetectionConfig, ServiceConfig, ServiceState } from "../snapshot.ts";
import type { EndpointCounts } from "../types.ts";
import { pickInstead, pickUntried } from "./balance/further-picks.ts";
import type { KeyedRequest } from "./balance/policy.ts";
import { type Selection, Selector } from "./balance/selection.ts";
import type { Deadline } from "./deadlines.ts";
import { addressText, type Candidates, type Endpoint, type ServiceParts, type Waiter } from "./endpoint.ts";
import { type VersionCandidates, Versions } from "./versions.ts";

/** Endpoints that discovery names beyond these are left out. */
const endpointsMax = 10_000;
/** Rounding must not keep the last endpoint in that may be ejected. */
const rounding = 1e-9;

const ejectionsHelp = "Ejections by outlier detection, each counted in the worker that saw the errors.";
const panicsHelp = "How often so few endpoints were well that all were used.";

export interface RosterParts extends ServiceParts {
  readonly config: ServiceConfig;
  /** Where this node stands; null when zones do not count. */
  readonly zone: string | null;
  /** `before`: the same address under the service's former config, if it had it. */
  create(config: EndpointConfig, before: Endpoint | undefined): Endpoint;
}

export class Roster implements Candidates {
  endpoints: readonly Endpoint[] = [];
  readonly #parts: RosterParts;
  readonly #selector: Selector<Endpoint>;
  readonly #versions: Versions;
  readonly #due: Deadline;
  #selection: Selection<Endpoint>;
  #discoveryProblem: string | null = null;

  /** `before`: of the service under its former config. */
  constructor(parts: RosterParts, state: ServiceState | null, before: Roster | null) {
    this.#parts = parts;
    this.#selector = new Selector(parts.config, parts.zone, parts);
    this.#versions = new Versions(parts);
    this.#due = parts.deadlines.create(() => this.#select());
    this.#enter(state, before?.endpoints ?? [], (endpoint, config) => parts.create(config, endpoint));
    this.#selection = this.#selector.select(this.endpoints);
    this.#versions.select(this.endpoints);
    this.#due.set(this.#selection.dueAtMs);
    this.#notePanic(before?.panic ?? "no");
  }

  get panic(): "yes" | "no" {
    return this.#selection.panic;
  }

  get discoveryProblem(): string | null {
    return this.#discoveryProblem;
  }

  get size(): number {
    return this.endpoints.length;
  }

  get emptiness(): string {
    const count = this.endpoints.length;
    return count === 0 ? "it has no endpoint" : `none of its ${count} endpoints is well`;
  }

  get counts(): EndpointCounts {
    const now = this.#parts.clock.now();
    const counts = { healthy: 0, unhealthy: 0, ejected: 0 };
    for (const { standing } of this.endpoints) {
      if (standing.health === "unhealthy") counts.unhealthy++;
      else if (standing.isWell(now)) counts.healthy++;
      else counts.ejected++;
    }
    return counts;
  }

  pick(tried: readonly Endpoint[], request: KeyedRequest): Endpoint | null {
    return pickUntried(this.#selection, tried, request);
  }

  pickInstead(unreachable: readonly Endpoint[], waiter: Waiter): Endpoint | null {
    return pickInstead(this.#selection, { tried: waiter.tried, unreachable }, waiter);
  }

  accepts(endpoint: Endpoint): boolean {
    return this.panic === "yes" || endpoint.standing.isWell(this.#parts.clock.now());
  }

  /** Those of one version. */
  ofVersion(version: string): VersionCandidates {
    return this.#versions.of(version);
  }

  /** Its weight, or less during a slow start; 0 while it gets nothing. */
  weightInEffect(endpoint: Endpoint): number {
    return this.panic === "yes" ? endpoint.load.weight : this.#selector.weightInEffect(endpoint);
  }

  /** Endpoints come and go, and are well or not. One that stays keeps its connections and what was measured of it. */
  update(state: ServiceState | null): void {
    const before = this.endpoints;
    this.#enter(state, before, (endpoint, { weight, zone, version }) => {
      endpoint.load.weight = weight;
      endpoint.zone = zone;
      endpoint.version = version;
      return endpoint;
    });
    const present = new Set(this.endpoints);
    for (const endpoint of before) if (!present.has(endpoint)) endpoint.leave();
    this.#select();
  }

  /** A request to it failed. */
  failed(endpoint: Endpoint): void {
    const { config, clock } = this.#parts;
    const { outlierDetection } = config;
    if (outlierDetection === null) return;
    const now = clock.now();
    if (endpoint.standing.failed(now, outlierDetection) === "fine" || !this.endpoints.includes(endpoint))
      return;
    // As Envoy does, none where not even one is within the share: with 50 % a service's only endpoint stays.
    const ejected = this.endpoints.filter(({ standing }) => standing.ejectedUntilMs > now).length + 1;
    if (ejected <= this.endpoints.length * outlierDetection.ejectedShareMax + rounding)
      this.#eject(endpoint, outlierDetection);
    else if (ejected > 1 && !endpoint.standing.isFailing) {
      endpoint.standing.keep();
      this.#select();
    }
  }

  /** One that was failing answered a request. */
  recovered(): void {
    this.#select();
  }

  /** Nobody picks any more. */
  retire(): void {
    this.#due.remove();
    for (const endpoint of this.endpoints) endpoint.leave();
  }

  #eject(endpoint: Endpoint, outlierDetection: OutlierDetectionConfig): void {
    const { clock, log, meters, config } = this.#parts;
    const now = clock.now();
    const { standing, name } = endpoint;
    standing.eject(now, outlierDetection);
    const forMs = standing.ejectedUntilMs - now;
    const facts = { service: config.name, endpoint: name };
    meters.count("clearway_endpoint_ejections_total", ejectionsHelp, facts);
    log.warn("ejected an endpoint: its last requests all failed", {
      ...facts,
      errors: outlierDetection.consecutiveErrors,
      forMs: Math.round(forMs),
    });
    this.#parts.ejected({ ...facts, untilEpochMs: clock.epochMs() + forMs });
    this.#select();
  }

  /** `stay`: what becomes of an endpoint that was there and still is. */
  #enter(
    state: ServiceState | null,
    before: readonly Endpoint[],
    stay: (endpoint: Endpoint, config: EndpointConfig) => Endpoint,
  ): void {
    const { config, deadlines, create } = this.#parts;
    const now = deadlines.touch();
    const known = new Map(before.map((endpoint) => [endpoint.name, endpoint]));
    const endpoints = new Map<string, Endpoint>();
    const isDiscovered = config.dns !== null || config.registry !== null;
    const named = isDiscovered ? (state?.discovered ?? []) : config.endpoints;
    for (const one of named.slice(0, endpointsMax)) {
      const name = addressText(one.address);
      if (endpoints.has(name)) continue;
      const same = known.get(name);
      const endpoint = same === undefined ? create(one, undefined) : stay(same, one);
      // Where all are new there is nobody to spare them.
      if (same === undefined && before.length > 0) endpoint.standing.startedAtMs = now;
      endpoints.set(name, endpoint);
    }
    this.endpoints = [...endpoints.values()];
    this.#discoveryProblem = state?.discoveryProblem ?? null;
    this.#judge(state);
  }

  /** What the node's checks and its other workers say. */
  #judge(state: ServiceState | null): void {
    const { config, deadlines, clock } = this.#parts;
    const { now } = deadlines;
    const unhealthy = new Set(state?.unhealthy);
    const ejected = new Map(state?.ejected.map(({ endpoint, untilEpochMs }) => [endpoint, untilEpochMs]));
    for (const { name, standing } of this.endpoints) {
      const health = unhealthy.has(name) ? "unhealthy" : "healthy";
      if (health === "healthy" && standing.health === "unhealthy") standing.startedAtMs = now;
      standing.health = health;
      const untilEpochMs = ejected.get(name);
      if (untilEpochMs !== undefined && config.outlierDetection !== null)
        standing.ejectedElsewhere(now, now + untilEpochMs - clock.epochMs(), config.outlierDetection);
    }
  }

  #select(): void {
    const { panic } = this;
    this.#selection = this.#selector.select(this.endpoints);
    this.#versions.select(this.endpoints);
    this.#due.set(this.#selection.dueAtMs);
    this.#notePanic(panic);
    this.#parts.counted(this.#parts.config, this.counts);
  }

  #notePanic(before: "yes" | "no"): void {
    if (before === this.panic) return;
    const { log, meters, config } = this.#parts;
    const service = config.name;
    const { healthy } = this.counts;
    const facts = { service, healthy, endpoints: this.endpoints.length };
    if (this.panic === "no") log.info("enough endpoints are well again", facts);
    else {
      meters.count("clearway_service_panics_total", panicsHelp, { service });
      log.warn("too few endpoints are well: all are used", facts);
    }
  }
}
