/** Asks every endpoint of every service that wants it whether it is well, once for the whole node. */
import type { CheckedService } from "../../runtime/probe.ts";
import type { EndpointConfig, ServiceConfig } from "../../snapshot.ts";
import { addressText } from "../addresses.ts";
import { Lanes } from "../lanes.ts";
import { EndpointChecks, type EndpointChecksParts } from "./endpoint-checks.ts";
import type { HealthView } from "./endpoint-health.ts";

/** Checks under way at a time. */
export const CHECKS_MAX = 64;

export interface ServiceEndpoints {
  readonly service: ServiceConfig;
  readonly endpoints: readonly EndpointConfig[];
}

/** By the endpoint's address as text. */
type ByAddress = Map<string, EndpointChecks>;

export class HealthChecks {
  readonly #parts: EndpointChecksParts;
  #services = new Map<string, ByAddress>();

  constructor(parts: Omit<EndpointChecksParts, "lanes">) {
    this.#parts = { ...parts, lanes: new Lanes(CHECKS_MAX) };
  }

  /** From now on these and no others; what is known of those that stay goes on to count. */
  follow(all: readonly ServiceEndpoints[]): void {
    const before = this.#services;
    this.#services = new Map();
    for (const { service, endpoints } of all) {
      if (!isChecked(service)) continue;
      const known: ByAddress = before.get(service.name) ?? new Map();
      const checks: ByAddress = new Map();
      for (const endpoint of endpoints) {
        const address = addressText(endpoint.address);
        const same = known.get(address);
        same?.configure(service);
        checks.set(address, same ?? new EndpointChecks(this.#parts, service, endpoint));
        known.delete(address);
      }
      this.#services.set(service.name, checks);
    }
    for (const left of before.values()) for (const checks of left.values()) checks.close();
  }

  /** Addresses as text. */
  unhealthy(service: string): string[] {
    const all = [...(this.#services.get(service) ?? [])];
    return all.filter(([, { health }]) => !health.isWell).map(([address]) => address);
  }

  /** By the endpoint's address as text; empty where nothing is checked. */
  views(service: string): ReadonlyMap<string, HealthView> {
    const all = [...(this.#services.get(service) ?? [])];
    return new Map(all.map(([address, { health }]) => [address, health.view()]));
  }
}

function isChecked(service: ServiceConfig): service is CheckedService {
  return service.healthCheck !== null;
}
