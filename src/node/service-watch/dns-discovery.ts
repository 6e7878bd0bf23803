/** Looks one service's name up again and again, and says what changes. */

import type { Clock } from "../../machine.ts";
import type { DnsConfig, EndpointConfig } from "../../snapshot.ts";
import type { Log } from "../../types.ts";
import type { Finding } from "../dns/finding.ts";
import { type DnsView, type EndpointSource, endpointChange } from "./endpoint-source.ts";

export interface DnsDiscoveryParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Never rejects. */
  find(dns: DnsConfig): Promise<Finding>;
  /** Endpoints came or went. */
  changed(): void;
  lookedUp(service: string, result: Finding["result"]): void;
}

/** What is looked up, and for whom. */
export interface Discovered {
  readonly service: string;
  readonly dns: DnsConfig;
  /** What holds until the first answer. */
  readonly known: readonly EndpointConfig[];
}

/** Between two lookups, however short the records live. */
const PAUSE_MS = 100;

export class DnsDiscovery implements EndpointSource {
  /** Settles after the first lookup. */
  readonly first: Promise<void>;
  readonly #parts: DnsDiscoveryParts;
  readonly #service: string;
  readonly #dns: DnsConfig;
  #endpoints: readonly EndpointConfig[];
  #answeredAtMs: number | null = null;
  #problem: string | null;
  #problemSinceMs: number | null = null;
  #notes: readonly string[] = [];
  #looking: Promise<void> | null = null;
  #cancelTimer: () => void = () => {};
  #closed = false;

  constructor(parts: DnsDiscoveryParts, { service, dns, known }: Discovered) {
    this.#parts = parts;
    this.#service = service;
    this.#dns = dns;
    this.#endpoints = known;
    this.#problem = `${dns.name}: the first lookup has not ended yet`;
    this.first = this.lookUp();
  }

  get endpoints(): readonly EndpointConfig[] {
    return this.#endpoints;
  }

  /** DNS knows nothing of that. */
  get unhealthy(): readonly string[] {
    return [];
  }

  get problem(): string | null {
    return this.#endpoints.length > 0 ? null : this.#problem;
  }

  /** Since what is known was last said; null before the first time. */
  get ageMs(): number | null {
    return this.#answeredAtMs === null ? null : this.#parts.clock.now() - this.#answeredAtMs;
  }

  /** Now, whatever is known. */
  lookUp(): Promise<void> {
    this.#cancelTimer();
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  askAgain(): void {
    void this.lookUp();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  view(): DnsView {
    const { clock } = this.#parts;
    const at = (ms: number | null) =>
      ms === null ? null : new Date(clock.epochMs() - (clock.now() - ms)).toISOString();
    const { ageMs } = this;
    return {
      source: "dns",
      name: this.#dns.port === null ? this.#dns.name : `${this.#dns.name}:${this.#dns.port}`,
      records: this.#dns.port === null ? "SRV" : "A, AAAA",
      answeredAt: at(this.#answeredAtMs),
      ageSeconds: ageMs === null ? null : Math.round(ageMs / 1000),
      problem: this.#problem,
      problemSince: at(this.#problemSinceMs),
      notes: this.#notes,
    };
  }

  async #look(): Promise<void> {
    const finding = await this.#parts.find(this.#dns);
    if (this.#closed) return;
    this.#take(finding);
    const { clock } = this.#parts;
    const delayMs = Math.max(PAUSE_MS, finding.freshUntilMs - clock.now());
    this.#cancelTimer = clock.after(delayMs, () => void this.lookUp());
  }

  #take({ result, endpoints, problem, notes }: Finding): void {
    this.#parts.lookedUp(this.#service, result);
    const before = this.#endpoints;
    if (result !== "failed") this.#endpoints = endpoints;
    if (result === "nothing" || problem === null) this.#answeredAtMs = this.#parts.clock.now();
    this.#setProblem(problem, before.length > 0 ? "had endpoints" : "had none");
    if (notes.length > 0 && notes.join() !== this.#notes.join()) {
      this.#parts.log.warn("DNS named more for a service than can be used", {
        service: this.#service,
        dns: this.#dns.name,
        leftOut: notes.join("; "),
      });
    }
    this.#notes = notes;
    if (JSON.stringify(before) === JSON.stringify(this.#endpoints)) return;
    this.#sayChange(before);
    this.#parts.changed();
  }

  /** Said when it begins and when it ends, not each time between. */
  #setProblem(problem: string | null, before: "had endpoints" | "had none"): void {
    const { log, clock } = this.#parts;
    const facts = { service: this.#service, dns: this.#dns.name };
    const began = problem !== null && this.#problemSinceMs === null;
    const emptied = before === "had endpoints" && this.#endpoints.length === 0;
    if (problem !== null && (began || emptied)) {
      const holds = this.#endpoints.length > 0 ? "what it said last holds" : "the service has no endpoint";
      log.warn(`DNS does not say where a service is: ${holds}`, { ...facts, problem });
    }
    if (problem === null && this.#problemSinceMs !== null) {
      const forMs = Math.round(clock.now() - this.#problemSinceMs);
      log.info("DNS says again where a service is", { ...facts, forMs });
    }
    this.#problem = problem;
    this.#problemSinceMs = problem === null ? null : (this.#problemSinceMs ?? clock.now());
  }

  #sayChange(before: readonly EndpointConfig[]): void {
    this.#parts.log.info(`DNS names ${before.length === 0 ? "the" : "other"} endpoints of a service`, {
      service: this.#service,
      dns: this.#dns.name,
      ...endpointChange(before, this.#endpoints),
    });
  }
}
