/** The runtime in the test's own process: config text in, a listening port out. */
import { loadConfig } from "../../src/config/load.ts";
import type { FindFilters } from "../../src/filter-lookup.ts";
import { certificates } from "../../src/host/certificates/node.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { host } from "../../src/host/index.ts";
import type { Clock, Random, Sockets } from "../../src/machine.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import { type HostNames, NO_NAMES } from "../../src/runtime/proxy/host-names.ts";
import { createRuntime, type Runtime } from "../../src/runtime/runtime.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import type { EndpointCounts, FilterRegistry, LogFields, Meters } from "../../src/types.ts";
import { findFilters, onlyFilters } from "../found-filters.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** What a route's meter was told. */
export interface Measured {
  readonly route: string;
  readonly service: string;
  readonly method: string;
  readonly status: number;
  readonly reason: string;
}

export interface ProxyOptions {
  /** Without one no time passes, so that no deadline is missed on a busy machine. */
  readonly clock?: Clock;
  readonly sockets?: Sockets;
  readonly random?: Random;
  /** Of hosts that no service names; without it there are none. */
  readonly names?: HostNames;
  /** What configs may name; the built-in ones, and Hono's, without it. */
  readonly filters?: FilterRegistry;
  /** What else than its text a config says. */
  readonly change?: (snapshot: Snapshot) => Snapshot;
  /** Texts of the files that the config names, by their names; read anew with each config. */
  readonly files?: Readonly<Record<string, string>>;
}

export class RunningProxy {
  readonly log: LogLine[] = [];
  readonly measured: Measured[] = [];
  /** What the meters were told to count, with the labels. */
  readonly counted: Readonly<Record<string, string>>[] = [];
  /** Services that nobody knew. */
  readonly wanted: string[] = [];
  /** By service, as the meters say. */
  readonly endpoints = new Map<string, EndpointCounts>();
  /** Open connections by side, as the meters say. */
  readonly open = { downstream: 0, upstream: 0 };
  readonly runtime: Runtime;
  readonly #clock: Clock;
  readonly #findFilters: FindFilters;
  readonly #files: Readonly<Record<string, string>>;
  readonly #change: (snapshot: Snapshot) => Snapshot;
  #version = 0;

  private constructor(options: ProxyOptions) {
    this.#clock = options.clock ?? new VirtualClock();
    this.#files = options.files ?? {};
    this.#change = options.change ?? ((snapshot) => snapshot);
    this.#findFilters = options.filters === undefined ? findFilters : onlyFilters(options.filters);
    this.runtime = createRuntime({
      sockets: options.sockets ?? host.sockets,
      clock: this.#clock,
      random: options.random ?? new SeededRandom(1),
      findFilters: this.#findFilters,
      meters: this.#meters(),
      log: this.#logger(),
      open: () => ({ line: () => {}, dropped: 0 }),
      fetch,
      share: new NodeMemory(privateMemory(), new SeededRandom(2)).share(0),
      names: options.names ?? NO_NAMES,
      want: (service) => void this.wanted.push(service),
      nodeId: "test",
    });
  }

  static async start(yaml: string, options: ProxyOptions = {}): Promise<RunningProxy> {
    const proxy = new RunningProxy(options);
    await proxy.apply(yaml);
    return proxy;
  }

  /** Throws when the text is no right config. */
  async apply(yaml: string): Promise<void> {
    const result = await this.runtime.apply(await this.#load(yaml));
    if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join("\n"));
  }

  async #load(yaml: string): Promise<Snapshot> {
    const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
    const files = new Map(Object.entries({ ...this.#files, "clearway.yaml": yaml }));
    const { snapshot, problems } = await loadConfig({
      certificates,
      clock: systemClock,
      file: "/clearway.yaml",
      files: {
        read: (path) => {
          const text = files.get(path.slice(1));
          return text === undefined ? Promise.reject(missing) : Promise.resolve(text);
        },
        list: () => Promise.reject(missing),
      },
      findFilters: this.#findFilters,
      environment: {},
      version: ++this.#version,
    });
    if (snapshot === null)
      throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
    return this.#change(snapshot);
  }

  /** The port of the listener `web`, or of another. */
  port(listener = "web"): number {
    const found = this.runtime
      .report()
      .listeners.find(({ name, state }) => name === listener && state === "serving");
    return Number(found?.address.split(":").at(-1));
  }

  stop(): Promise<{ readonly forced: number }> {
    const drained = this.runtime.drain(0);
    if (this.#clock instanceof VirtualClock) this.#clock.advance(0);
    return drained;
  }

  #meters(): Meters {
    return {
      route: (_listener, route) => ({
        record: (service, method, status, reason) =>
          void this.measured.push({ route, service, method, status, reason }),
      }),
      endpoint: () => ({ record: () => {} }),
      endpoints: (service, counts) => {
        if (counts === null) this.endpoints.delete(service);
        else this.endpoints.set(service, counts);
      },
      connections: (side, change) => {
        this.open[side] += change;
      },
      filter: () => {},
      count: (name, _help, labels) => void this.counted.push({ name, ...labels }),
      observe: () => {},
    };
  }

  #logger() {
    const say =
      (level: string) =>
      (message: string, fields: LogFields = {}) =>
        void this.log.push({ level, message, fields });
    return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  }
}

export interface GatewayText {
  /** Ports of the endpoints of the service `shop`; with "dns" the test says by `updateServices` where they are. */
  readonly ports: readonly number[] | "dns";
  /** YAML of `limits:`, in braces; of the listener and of the service. */
  readonly limits?: string;
  readonly serviceLimits?: string;
  readonly timeouts?: string;
  readonly listener?: string;
  readonly root?: string;
  readonly route?: string;
  readonly loadBalancing?: string;
  /** Further YAML of the service, a key on each line. */
  readonly service?: string;
  /** Zones of the ports, in their order. */
  readonly zones?: readonly string[];
}

function endpointsOf({ ports, zones }: GatewayText): string {
  if (ports === "dns") return "dns: shop.internal:80";
  const endpoints = ports.map((port, index) => {
    const zone = zones?.[index];
    return `{ address: "127.0.0.1:${port}"${zone === undefined ? "" : `, zone: ${zone}`} }`;
  });
  return `endpoints: [${endpoints.join(", ")}]`;
}

/** The config of nearly every test here: one listener, one route for everything, one service. */
export function gateway(text: GatewayText): string {
  return `
${text.root ?? ""}
listeners:
  web:
    bind: 127.0.0.1:0
    limits: ${text.limits ?? "{}"}
${text.listener ?? ""}
    routes:
      - match: {}
        to: shop
${text.route ?? ""}
services:
  shop:
    ${endpointsOf(text)}
    loadBalancing: ${text.loadBalancing ?? "round-robin"}
    limits: ${text.serviceLimits ?? "{}"}
    timeouts: ${text.timeouts ?? "{}"}
${text.service ?? ""}
`;
}
