/** What a service watch is given in tests: time that is said, services that are named, answers that are decided. */
import type { Finding } from "../../../src/node/dns/finding.ts";
import type { DnsConfig, EndpointConfig, HealthCheckConfig, ServiceConfig } from "../../../src/snapshot.ts";
import type { Log, LogFields } from "../../../src/types.ts";
import { VirtualClock } from "../../virtual-clock.ts";

export const healthCheck: HealthCheckConfig = {
  path: "/healthz",
  host: null,
  intervalMs: 5000,
  timeoutMs: 1000,
  healthy: 2,
  unhealthy: 3,
};

export function dnsOf(name: string, port: number | null = 80): DnsConfig {
  const records = port === null ? "srv" : "address";
  return { name, port, records, refreshMinMs: 1000, refreshMaxMs: 300_000 };
}

/** `10.0.0.1` is an endpoint on port 80. */
export function endpointsAt(...hosts: readonly string[]): EndpointConfig[] {
  return hosts.map((host) => ({ address: { host, port: 80 }, weight: 1, zone: null, version: null }));
}

export function serviceOf(name: string, parts: Partial<ServiceConfig> = {}): ServiceConfig {
  return {
    name,
    endpoints: [],
    dns: null,
    registry: null,
    healthCheck: null,
    outlierDetection: null,
    ...parts,
  } as ServiceConfig;
}

export class RecordedLog implements Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  readonly debug = this.#say("debug");
  readonly info = this.#say("info");
  readonly warn = this.#say("warn");
  readonly error = this.#say("error");

  /** What was said since the last call. */
  taken(): string[] {
    return this.lines.splice(0).map(({ level, message }) => `${level} ${message}`);
  }

  #say(level: string) {
    return (message: string, fields: LogFields = {}) => void this.lines.push({ level, message, fields });
  }
}

/** Time, and turns for what waits for promises: every timer's work is done before the next one is due. */
export class SteppedClock extends VirtualClock {
  async pass(durationMs: number, stepMs = 50): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += stepMs) {
      await turns();
      this.advance(Math.min(stepMs, durationMs - passed));
    }
    await turns();
  }
}

/** Enough for any chain of promises here. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** What DNS says, until a test says otherwise. */
export class DecidedNames {
  readonly asked: string[] = [];
  readonly #findings = new Map<string, Partial<Finding>>();
  readonly #held = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Fresh for ten seconds unless the finding says otherwise, counted from when it is asked for. */
  set(name: string, finding: Partial<Finding>): void {
    this.#findings.set(name, finding);
  }

  addresses(name: string, ...hosts: readonly string[]): void {
    this.set(name, { result: "found", endpoints: endpointsAt(...hosts) });
  }

  /** Lookups of this name do not end until `release`. */
  hold(name: string): void {
    this.#held.add(name);
  }

  release(): void {
    this.#held.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  readonly find = async ({ name }: DnsConfig): Promise<Finding> => {
    this.asked.push(name);
    if (this.#held.has(name)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const nothing: Finding = {
      result: "nothing",
      endpoints: [],
      freshUntilMs: this.#clock.now() + 10_000,
      problem: null,
      notes: [],
    };
    const finding = this.#findings.get(name) ?? { problem: `${name}: there is no such name (NXDOMAIN)` };
    return { ...nothing, ...finding };
  };
}
