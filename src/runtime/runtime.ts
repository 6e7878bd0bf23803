/** The runtime of one worker: applies snapshots while requests flow, reports, drains. */

import type { FindFilters } from "../filter-lookup.ts";
import type { Address, Clock, Random, Sockets } from "../machine.ts";
import type { Ejection, ListenerConfig, ServiceState, Snapshot, SourcePlace } from "../snapshot.ts";
import type { Appender, Log, Meters } from "../types.ts";
import { type Compiled, type CompileParts, compile, ending } from "./compile.ts";
import { CompileError } from "./compile-error.ts";
import { Deadlines } from "./deadlines.ts";
import { addressText } from "./endpoint.ts";
import { installGlobals } from "./fetch/globals.ts";
import { filtersOf } from "./found-filters.ts";
import type { GenerationParts } from "./generation.ts";
import { HttpDate } from "./http-date.ts";
import { allCallers, type Callers, type LeavingStage } from "./leaving.ts";
import { Listener } from "./listener.ts";
import type { NodeShare } from "./node-memory/index.ts";
import type { HostNames } from "./proxy/host-names.ts";
import { WantedServices } from "./proxy/wanted-services.ts";
import { type RuntimeReport, report } from "./report.ts";
import type { Service } from "./service.ts";
import { callService } from "./service-call.ts";
import { atOnce, bothHeld, finished, type Held, heldFor, inSlices } from "./slices.ts";
import { FilterMemory } from "./tools.ts";

export interface RuntimeParts {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly findFilters: FindFilters;
  readonly meters: Meters;
  readonly log: Log;
  /** "stdout", "stderr" or a path. */
  open(path: string): Appender;
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** Where hosts are that callers name and no service does. */
  readonly names: HostNames;
  /** A caller asked for a service of the mesh that the snapshot has no route for. */
  want(service: string): void;
  /** What this worker counts together with the others. */
  readonly share: NodeShare;
  /** Tells this node from all others, in Via. */
  readonly nodeId: string;
}

export interface ApplyProblem {
  readonly place: SourcePlace;
  readonly message: string;
}

export type ApplyResult =
  | { readonly ok: true; readonly held: Held }
  | { readonly ok: false; readonly problems: readonly ApplyProblem[] };

export interface Runtime {
  /** Compiles a generation, binds new listeners, swaps by one assignment. On failure nothing changed. Calls must not overlap. */
  apply(snapshot: Snapshot): Promise<ApplyResult>;
  /** Complete each time; also for services that only the next snapshot has. */
  updateServices(states: readonly ServiceState[]): void;
  /** Services that were wanted, and that there are not. */
  servicesMissing(services: readonly string[]): void;
  /** Endpoints that outlier detection ejected here since the last call. */
  takeEjections(): readonly Ejection[];
  report(): RuntimeReport;
  /** Has the callers of the listener of this name go elsewhere; may be called again and again. Returns who is still there. */
  leave(listener: string, stage: LeavingStage): Callers;
  /** Stops accepting, lets requests end, and after `timeoutMs` resets what is left. */
  drain(timeoutMs: number): Promise<{ readonly forced: number }>;
}

/** Ejections that nobody took yet; of more than these the other workers do not hear. */
const EJECTIONS_MAX = 1_000;

export function createRuntime(parts: RuntimeParts): Runtime {
  installGlobals();
  return new WorkerRuntime(parts);
}

class WorkerRuntime implements Runtime {
  readonly #parts: RuntimeParts;
  readonly #deadlines: Deadlines;
  readonly #compileParts: Omit<CompileParts, "filters">;
  /** By address: an address that stays is never let go of. */
  readonly #listeners = new Map<string, Listener>();
  /** Stopped ones with connections left. */
  readonly #leaving = new Set<Listener>();
  readonly #wanted: WantedServices;
  #current: Compiled | null = null;
  #generations = 0;
  /** By service. */
  #states: ReadonlyMap<string, ServiceState> = new Map();
  #ejections: Ejection[] = [];

  constructor(parts: RuntimeParts) {
    this.#parts = parts;
    this.#deadlines = new Deadlines(parts.clock);
    this.#wanted = new WantedServices(this.#deadlines, (service) => parts.want(service));
    this.#compileParts = this.#makeCompileParts();
  }

  #makeCompileParts(): Omit<CompileParts, "filters"> {
    const { sockets, clock, random, meters, log, nodeId, names } = this.#parts;
    const deadlines = this.#deadlines;
    const date = new HttpDate(clock);
    const pseudonym = `clearway-${nodeId}`;
    // Within one event the time stands still: whoever measures reads what the event's begin read.
    const eventClock: Clock = {
      now: () => deadlines.now,
      epochMs: () => clock.epochMs(),
      after: (delayMs, run) => clock.after(delayMs, run),
      every: (periodMs, run) => clock.every(periodMs, run),
    };
    const generation: GenerationParts = {
      sockets,
      deadlines,
      random,
      meters,
      log,
      pseudonym,
      date: () => date.text(),
      epochMs: () => clock.epochMs(),
    };
    const memory = new FilterMemory();
    return {
      services: {
        ...{ sockets, deadlines, clock: eventClock, random, meters, log },
        ejected: (ejection) => {
          if (this.#ejections.length < EJECTIONS_MAX) this.#ejections.push(ejection);
        },
        counted: (config, counts) => {
          const live = this.#current?.generation.services.get(config.name);
          if (live?.config === config) meters.endpoints(config.name, counts);
        },
      },
      stateOf: (service) => this.#states.get(service) ?? null,
      generation,
      names,
      wanted: this.#wanted,
      filterParts: (serviceOf) => ({
        ...this.#parts,
        memory,
        call: (name, request) =>
          callNamed(serviceOf(name), name, (service) => {
            const timeoutMs = service.config.messageLimits.routeTimeoutMs;
            return callService(service.destination(null), request, { timeoutMs, pseudonym });
          }),
      }),
    };
  }

  async apply(snapshot: Snapshot): Promise<ApplyResult> {
    const { clock } = this.#parts;
    const { filters, problems: unknown } = await filtersOf(snapshot, this.#parts.findFilters);
    if (unknown.length > 0) return { ok: false, problems: unknown };
    const running = this.#current?.generation ?? null;
    const states = this.#states;
    let compiled: ReturnType<typeof atOnce<Compiled>>;
    try {
      const steps = compile(snapshot, running, { ...this.#compileParts, filters });
      compiled = running === null ? atOnce(steps, clock) : await inSlices(steps, clock);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      return { ok: false, problems: [{ place: error.place, message: error.message }] };
    }
    const { result: next, held } = compiled;
    const { added, problems } = await this.#bind(next);
    if (problems.length > 0) {
      for (const listener of added.values()) listener.socket?.stop();
      finished(ending(next, running));
      return { ok: false, problems };
    }
    const startMs = clock.now();
    this.#swap(next, added);
    this.#attach(next.generation.services, { running: running?.services ?? new Map(), states });
    this.#wanted.live();
    return { ok: true, held: bothHeld(held, heldFor(clock.now() - startMs)) };
  }

  /** Binds what is new. The listeners accept at once, and serve the new generation already. */
  async #bind(next: Compiled): Promise<{ added: Map<string, Listener>; problems: ApplyProblem[] }> {
    const added = new Map<string, Listener>();
    const problems: ApplyProblem[] = [];
    for (const live of next.generation.listeners.values()) {
      const key = addressText(live.config.bind);
      if (this.#listeners.has(key)) continue;
      try {
        const listener = new Listener(this.#listenerParts(key), live);
        listener.bound(await this.#parts.sockets.listen(live.config.bind, "shared", () => listener.accept()));
        added.set(key, listener);
      } catch (error) {
        problems.push({ place: live.config.place, message: bindProblem(live.config, error) });
      }
    }
    return { added, problems };
  }

  #listenerParts(address: string) {
    const { sockets, meters, log, share } = this.#parts;
    const connections = { node: share.connections, own: share.connectionsAt(address) };
    return { sockets, deadlines: this.#deadlines, meters, log, connections };
  }

  #swap(next: Compiled, added: ReadonlyMap<string, Listener>): void {
    const { generation } = next;
    const before = this.#current;
    this.#current = next;
    this.#generations++;
    const wanted = new Set<string>();
    for (const live of generation.listeners.values()) {
      const key = addressText(live.config.bind);
      wanted.add(key);
      this.#listeners.get(key)?.serve(live);
    }
    for (const [key, listener] of [...this.#listeners]) {
      if (!wanted.has(key)) this.#leave(key, listener, generation.snapshot.drainMs);
    }
    for (const [key, listener] of added) this.#listeners.set(key, listener);
    before?.generation.replace(() => this.#retire(before));
  }

  /** A listener that the config no longer has: its connections end in their own time, within the drain's. */
  #leave(key: string, listener: Listener, drainMs: number): void {
    this.#listeners.delete(key);
    this.#leaving.add(listener);
    const cancel = this.#parts.clock.after(drainMs, () => listener.abort());
    listener.drain().then(() => {
      cancel();
      this.#leaving.delete(listener);
    });
  }

  #retire(old: Compiled): void {
    this.#generations--;
    void inSlices(ending(old, this.#current?.generation ?? null), this.#parts.clock);
  }

  /** These services are live now; `states`: what they were made with. */
  #attach(
    services: ReadonlyMap<string, Service>,
    before: { running: ReadonlyMap<string, Service>; states: ReadonlyMap<string, ServiceState> },
  ): void {
    const { meters } = this.#parts;
    for (const name of before.running.keys()) if (!services.has(name)) meters.endpoints(name, null);
    for (const [name, service] of services) meters.endpoints(name, service.roster.counts);
    this.#tell(services, before.states);
  }

  updateServices(states: readonly ServiceState[]): void {
    const before = this.#states;
    this.#states = new Map(states.map((state) => [state.service, state]));
    this.#tell(this.#current?.generation.services ?? new Map(), before);
  }

  #tell(services: ReadonlyMap<string, Service>, before: ReadonlyMap<string, ServiceState>): void {
    if (before === this.#states) return;
    for (const [name, service] of services) {
      const state = this.#states.get(name) ?? null;
      if (JSON.stringify(state) !== JSON.stringify(before.get(name) ?? null)) service.update(state);
    }
  }

  servicesMissing(services: readonly string[]): void {
    this.#wanted.missing(services);
  }

  takeEjections(): readonly Ejection[] {
    const taken = this.#ejections;
    this.#ejections = [];
    return taken;
  }

  report(): RuntimeReport {
    return report({
      current: this.#current?.generation ?? null,
      generations: this.#generations,
      listeners: [...this.#listeners.values()],
      leaving: [...this.#leaving],
      now: this.#deadlines.touch(),
      epochMs: this.#parts.clock.epochMs(),
    });
  }

  leave(listener: string, stage: LeavingStage): Callers {
    const all = [...this.#listeners.values(), ...this.#leaving];
    const named = all.filter(({ live }) => live.config.name === listener);
    return allCallers(named.map((one) => one.leave(stage)));
  }

  async drain(timeoutMs: number): Promise<{ readonly forced: number }> {
    const all = [...this.#listeners.values(), ...this.#leaving];
    let forced = 0;
    const cancel = this.#parts.clock.after(timeoutMs, () => {
      for (const listener of all) forced += listener.abort();
    });
    await Promise.all(all.map((listener) => listener.drain()));
    cancel();
    this.#deadlines.stop();
    return { forced };
  }
}

function bindProblem(config: ListenerConfig, error: unknown): string {
  const { code, message } = error as Error & { code?: string };
  return `cannot listen on ${addressText(config.bind as Address)}: ${code === "EADDRINUSE" ? "the address is in use" : message}`;
}

function callNamed(
  service: Service | null,
  name: string,
  call: (service: Service) => Promise<Response>,
): Promise<Response> {
  return service === null ? Promise.reject(new Error(`no service is called "${name}"`)) : call(service);
}
