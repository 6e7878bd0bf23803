/** One service as the mesh's registry has it: those that drain are no endpoints, those that are unwell are known so. */
import type { Clock } from "../../machine.ts";
import type { EndpointConfig } from "../../snapshot.ts";
import type { Log } from "../../types.ts";
import { addressText } from "../addresses.ts";
import { type EndpointSource, endpointChange, type RegistryView } from "./endpoint-source.ts";
import type { RegisteredEndpoint, Registry } from "./registry.ts";

export interface RegistryDiscoveryParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  /** Endpoints came or went, or are well or not. */
  changed(): void;
}

/** Of one service; those beyond are left out. */
export const INSTANCES_MAX = 10_000;

export class RegistryDiscovery implements EndpointSource {
  readonly first: Promise<void>;
  readonly #parts: RegistryDiscoveryParts;
  readonly #service: string;
  /** As the registry has it. */
  readonly #name: string;
  readonly #heard = Promise.withResolvers<void>();
  readonly #unfollow: () => void;
  #endpoints: readonly EndpointConfig[] = [];
  #unhealthy: readonly string[] = [];
  #draining = 0;
  #instances: number | null = null;
  #changedAtEpochMs: number | null = null;

  constructor(parts: RegistryDiscoveryParts, service: string, name: string) {
    this.#parts = parts;
    this.#service = service;
    this.#name = name;
    this.first = this.#heard.promise;
    this.#unfollow = parts.registry.follow(name, () => this.#take());
    this.#take();
  }

  get endpoints(): readonly EndpointConfig[] {
    return this.#endpoints;
  }

  get unhealthy(): readonly string[] {
    return this.#unhealthy;
  }

  get problem(): string | null {
    if (this.#endpoints.length > 0) return null;
    if (this.#instances === null) return `the registry has not said yet where ${this.#name} is`;
    if (this.#instances === 0) return `no instance of ${this.#name} is registered`;
    return `every instance of ${this.#name} that is registered is draining (${this.#draining})`;
  }

  /** It is told, and asks nobody. */
  askAgain(): void {}

  close(): void {
    this.#unfollow();
  }

  view(): RegistryView {
    const count = this.#instances ?? 0;
    return {
      source: "registry",
      name: this.#name,
      instances: count,
      unhealthy: this.#unhealthy.length,
      draining: this.#draining,
      changedAt: this.#changedAtEpochMs === null ? null : new Date(this.#changedAtEpochMs).toISOString(),
      problem: this.problem,
      notes: count > INSTANCES_MAX ? [`${count} instances: the first ${INSTANCES_MAX} are used`] : [],
    };
  }

  /** Of what it does not hear of any more, the last that it heard holds. */
  #take(): void {
    const registered = this.#parts.registry.endpoints(this.#name);
    if (registered === null) return;
    this.#heard.resolve();
    const isFirst = this.#instances === null;
    const [endpoints, unhealthy] = usable(registered);
    const draining = registered.filter(({ state }) => state === "draining").length;
    const [before, wereUnhealthy, problem] = [this.#endpoints, this.#unhealthy, this.problem];
    this.#instances = registered.length;
    this.#draining = draining;
    this.#endpoints = endpoints;
    this.#unhealthy = unhealthy;
    const isSame = same(before, endpoints) && same(wereUnhealthy, unhealthy);
    if (isSame && this.problem !== problem) this.#parts.changed();
    if (isSame && !isFirst) return;
    this.#changedAtEpochMs = this.#parts.clock.epochMs();
    this.#parts.log.info(`the registry names ${isFirst ? "the" : "other"} endpoints of a service`, {
      service: this.#service,
      ...endpointChange(before, endpoints),
      ...{ unhealthy: unhealthy.length, draining },
    });
    this.#parts.changed();
  }
}

/**
 * Endpoints, and the addresses of those that are unwell. An instance that came back under another id is registered twice
 * at its address until the old one's lease ends: the one that is well counts.
 */
function usable(registered: readonly RegisteredEndpoint[]): [EndpointConfig[], string[]] {
  const byAddress = new Map<string, RegisteredEndpoint>();
  for (const one of registered) {
    const name = addressText(one.config.address);
    const known = byAddress.get(name);
    if (one.state !== "draining" && (known === undefined || one.state === "healthy"))
      byAddress.set(name, one);
  }
  const names = [...byAddress.keys()].sort().slice(0, INSTANCES_MAX);
  const used = names.map((name) => byAddress.get(name)!);
  const unhealthy = names.filter((name) => byAddress.get(name)!.state === "unhealthy");
  return [used.map(({ config }) => config), unhealthy];
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
