/** Checks one endpoint again and again. */

import type { Clock, Random } from "../../machine.ts";
import type { CheckedService, Probe } from "../../runtime/probe.ts";
import type { EndpointConfig } from "../../snapshot.ts";
import type { Log } from "../../types.ts";
import { addressText } from "../addresses.ts";
import type { Lanes } from "../lanes.ts";
import { EndpointHealth } from "./endpoint-health.ts";

/** How much an interval differs from one time to the next, so that checks do not march in step. */
const JITTER_SHARE = 0.1;

export interface EndpointChecksParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly probe: Probe;
  /** Those of all endpoints take turns. */
  readonly lanes: Lanes;
  /** A verdict changed. */
  changed(): void;
  checked(service: string, result: "passed" | "failed"): void;
}

export class EndpointChecks {
  readonly health: EndpointHealth;
  readonly #parts: EndpointChecksParts;
  readonly #endpoint: EndpointConfig;
  #service: CheckedService;
  /** Of the next check; null while one is under way. */
  #cancelTimer: (() => void) | null = null;
  #closed = false;

  /** The first check is at once: until then it counts as healthy. */
  constructor(parts: EndpointChecksParts, service: CheckedService, endpoint: EndpointConfig) {
    this.#parts = parts;
    this.#service = service;
    this.#endpoint = endpoint;
    this.health = new EndpointHealth(service.healthCheck);
    void this.#check();
  }

  /** Another check under the same name begins soon; the verdict stays until then. */
  configure(service: CheckedService): void {
    const same = JSON.stringify(service.healthCheck) === JSON.stringify(this.#service.healthCheck);
    this.#service = service;
    if (same) return;
    this.health.configure(service.healthCheck);
    if (this.#cancelTimer !== null) this.#schedule(this.#parts.random.fraction());
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  async #check(): Promise<void> {
    this.#cancelTimer = null;
    const before = this.health.verdict;
    await this.#parts.lanes.run(() => this.#ask());
    const fraction = this.#parts.random.fraction();
    // The first checks all began together; they spread over one interval.
    this.#schedule(before === "unchecked" ? fraction : 1 + JITTER_SHARE * (fraction - 0.5));
  }

  #schedule(intervals: number): void {
    this.#cancelTimer?.();
    if (this.#closed) return;
    const delayMs = this.#service.healthCheck.intervalMs * intervals;
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => void this.#check());
  }

  async #ask(): Promise<void> {
    if (this.#closed) return;
    const { clock, log, probe, checked, changed } = this.#parts;
    const service = this.#service;
    const startedAtMs = clock.now();
    const problem = await probe(service, this.#endpoint.address);
    if (this.#closed) return;
    checked(service.name, problem === null ? "passed" : "failed");
    const { isWell } = this.health;
    const tookMs = clock.now() - startedAtMs;
    const change = this.health.judge({ problem, atEpochMs: clock.epochMs(), tookMs });
    if (this.health.isWell !== isWell) changed();
    if (change === null) return;
    const endpoint = addressText(this.#endpoint.address);
    const say = this.health.isWell ? log.info : log.warn;
    say(`${service.name} ${endpoint} ${change}`, { service: service.name, endpoint });
  }
}
