/** One filter in a real runtime: its route, its services and its caller around it, in memory and in virtual time. */

import { defaultLimits } from "../config/limits.ts";
import type { FindFilters } from "../filter-lookup.ts";
import type { Certificates } from "../machine.ts";
import { Deadlines } from "../runtime/deadlines.ts";
import { NodeMemory } from "../runtime/node-memory/index.ts";
import { privateMemory } from "../runtime/node-memory/private-memory.ts";
import { NO_NAMES } from "../runtime/proxy/host-names.ts";
import { createRuntime, type Runtime } from "../runtime/runtime.ts";
import type { Snapshot } from "../snapshot.ts";
import type { FilterDefinition, RequestSummary, Variables } from "../types.ts";
import { authorsFault } from "./authors-fault.ts";
import { sendAsCaller } from "./caller.ts";
import { type ConnectingFacts, MemoryNetwork } from "./memory-network.ts";
import type {
  FilterTest,
  LogLine,
  ReceivedRequest,
  TestCaller,
  TestClock,
  TestRequest,
  TestService,
  TestSetting,
} from "./nouns.ts";
import { checkOptions } from "./option-problems.ts";
import { PassingTime } from "./passing-time.ts";
import { Recorders } from "./recorders.ts";
import { SeededRandom } from "./seeded-random.ts";
import { listenerAddress, mainService, readTestConfig } from "./test-config.ts";
import { TestServices } from "./test-services.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What a host gives to a test. */
export interface TestHost {
  /** The program's own filters, and those of packages. */
  readonly findFilters: FindFilters;
  readonly certificates: Certificates;
  readFile(path: string): Promise<string>;
  /** One turn of the event loop. */
  turn(): Promise<void>;
  print(text: string): void;
}

export interface FilterDraft {
  readonly definition: FilterDefinition;
  readonly options: unknown;
  readonly setting: TestSetting;
}

const ENDED_MAX = 100_000;
const anyHost = "http://shop.example";
const callerAddress = "203.0.113.7";

export class ChainTest implements FilterTest {
  readonly clock: TestClock;
  readonly ended: RequestSummary[] = [];
  readonly outside: Request[] = [];
  vars: Variables = {};
  readonly #draft: FilterDraft;
  readonly #host: TestHost;
  readonly #network = new MemoryNetwork();
  readonly #clock = new VirtualClock();
  readonly #time: PassingTime;
  readonly #recorders: Recorders;
  readonly #services: TestServices;
  readonly #deadlines: Deadlines;
  /** Replaced once the first config is read. */
  #findFilters: FindFilters;
  readonly #runtime: Runtime;
  #snapshot: Snapshot | null = null;
  #version = 0;
  /** Rejects with what a config would have been refused for. */
  readonly #started: Promise<void>;

  /** Throws an Error when the options are wrong. */
  constructor(draft: FilterDraft, host: TestHost) {
    const { definition, options, setting } = draft;
    checkOptions(definition, options);
    this.#draft = draft;
    this.#host = host;
    this.#findFilters = host.findFilters;
    this.#deadlines = new Deadlines(this.#clock);
    this.#time = new PassingTime({
      clock: this.#clock,
      turn: host.turn,
      events: () => this.#network.events,
      time: setting.time ?? "passes",
    });
    this.#recorders = new Recorders((line) => this.#said(line));
    this.clock = {
      now: () => this.#clock.now(),
      epochMs: () => this.#clock.epochMs(),
      advance: (durationMs) => this.#time.advance(durationMs),
    };
    const parts = { network: this.#network, clock: this.#clock, log: this.#recorders.log };
    this.#services = new TestServices({ ...parts, limits: defaultLimits }, servicesOf(setting));
    this.#runtime = this.#createRuntime();
    this.#started = this.#apply(options);
    // Whoever sends a request hears of it.
    this.#started.catch(() => {});
  }

  get received(): readonly ReceivedRequest[] {
    return this.#services.received;
  }

  get logged(): readonly LogLine[] {
    return this.#recorders.logged;
  }

  counted(name: string, labels?: Readonly<Record<string, string>>): number {
    return this.#recorders.counted(name, labels);
  }

  observed(name: string): readonly number[] {
    return this.#recorders.observed(name);
  }

  lines(path: string): readonly string[] {
    return this.#recorders.lines(path);
  }

  async request(target: string, init: TestRequest = {}): Promise<Response> {
    const { caller, ...rest } = init;
    const fault = authorsFault(this.request);
    await this.#started.catch((error: Error) => fault(error.message));
    if (!URL.canParse(target, anyHost))
      fault(`cannot request ${JSON.stringify(target)}: wanted a path or a URL`);
    const request = new Request(new URL(target, anyHost), rest);
    const parts = { network: this.#network, deadlines: this.#deadlines, limits: defaultLimits };
    const sending = sendAsCaller(
      { ...parts, time: this.#time, address: listenerAddress },
      request,
      factsOf({ ...this.#draft.setting.caller, ...caller }),
    );
    try {
      return await this.#time.whileWaiting(sending);
    } finally {
      // What the filters do once the answer is out belongs to the request.
      await this.#time.settled();
      this.#services.rethrow();
    }
  }

  async reload(options: unknown = this.#draft.options): Promise<void> {
    const fault = authorsFault(this.reload);
    const applying = async () => {
      await this.#started;
      checkOptions(this.#draft.definition, options);
      await this.#apply(options);
    };
    await applying().catch((error: Error) => fault(error.message));
  }

  async close(): Promise<void> {
    await this.#started.catch(() => {});
    if (this.#snapshot !== null) {
      // A generation without routes: the one before it ends, and its filters with it.
      await this.#runtime.apply({ ...this.#snapshot, listeners: [], services: [] });
    }
    const drained = this.#runtime.drain(0);
    await this.#time.advance(1);
    await drained;
    this.#deadlines.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #createRuntime(): Runtime {
    const { setting } = this.#draft;
    const random = new SeededRandom(1);
    const { meters, log } = this.#recorders;
    return createRuntime({
      sockets: this.#network,
      clock: this.#clock,
      random: { fraction: () => setting.random?.() ?? random.fraction(), id: () => random.id() },
      findFilters: (names, place) => this.#findFilters(names, place),
      meters,
      log,
      open: (path) => this.#recorders.open(path),
      fetch: (url, init) => this.#fetch(new Request(url, init)),
      share: new NodeMemory(privateMemory(), random).share(0),
      names: NO_NAMES,
      want: () => {},
      nodeId: "test",
    });
  }

  async #apply(options: unknown): Promise<void> {
    const { definition, setting } = this.#draft;
    const recorder = {
      ended: (summary: RequestSummary) => {
        if (this.ended.length < ENDED_MAX) this.ended.push(summary);
      },
      vars: (vars: Variables) => {
        this.vars = vars;
      },
    };
    this.#version += 1;
    const services = this.#services.addresses;
    const { snapshot, findFilters } = await readTestConfig(
      { definition, options, setting, services, recorder, version: this.#version },
      { clock: this.#clock, ...this.#host },
    );
    this.#findFilters = findFilters;
    const result = await this.#runtime.apply(snapshot);
    if (!result.ok) {
      const text = result.problems.map(({ message }) => message.replace(/^clearway\.yaml:\d+: /, ""));
      throw new Error(text.join("\n"));
    }
    this.#snapshot = snapshot;
  }

  #fetch(request: Request): Promise<Response> {
    this.outside.push(request.clone());
    const { fetch } = this.#draft.setting;
    if (fetch !== undefined) return Promise.resolve(fetch(request));
    const wanted = "wanted `fetch` in the setting of testFilter";
    return Promise.reject(new Error(`cannot fetch ${request.url} in a test: ${wanted}`));
  }

  #said({ level, message, fields }: LogLine): void {
    if (level !== "error" || this.#draft.setting.errors === "kept") return;
    const { stack, error, ...rest } = fields;
    const details = Object.entries({ ...rest, error: readableStack(stack) ?? error ?? null });
    const lines = details
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `\n  ${name}: ${value}`);
    this.#host.print(`${message}${lines.join("")}`);
  }
}

function servicesOf({ service, services = {} }: TestSetting): ReadonlyMap<string, TestService> {
  const main: TestService = service ?? services[mainService] ?? (() => new Response("ok"));
  return new Map([[mainService, main], ...Object.entries({ ...services, [mainService]: main })]);
}

function factsOf({ remoteAddress = callerAddress, identity = null }: TestCaller): ConnectingFacts {
  if (identity === null) return { remoteAddress, tls: null };
  const names = { uris: [identity], dnsNames: [], subject: "" };
  const peer = { ...names, isAuthority: false, startsEpochMs: 0, expiresEpochMs: Infinity };
  return { remoteAddress, tls: { version: "TLSv1.3", alpn: null, peer } };
}

/** Frames of the program between the author's own say nothing to the author. */
const programFrame = /^\s+at .*(clearway-plugin-test\.mjs|\/src\/(runtime|testing)\/|\(native:)/;

function readableStack(stack: unknown): string | null {
  if (typeof stack !== "string") return null;
  return stack
    .split("\n")
    .filter((line) => !programFrame.test(line))
    .join("\n  ");
}
