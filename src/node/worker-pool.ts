/** All workers of a node: what one of them must not have without the others, and what they are together. */

import type { Clock } from "../machine.ts";
import { allCallers, type Callers, type LeavingStage } from "../runtime/leaving.ts";
import type { RuntimeReport } from "../runtime/report.ts";
import type { ApplyProblem, ApplyResult } from "../runtime/runtime.ts";
import type { Held } from "../runtime/slices.ts";
import type { ServiceState, Snapshot } from "../snapshot.ts";
import type { Log } from "../types.ts";
import { type FindServices, WantedNames } from "./wanted-services.ts";
import type { WorkerProcess } from "./worker-process.ts";
import { type SlotParts, type SlotState, WorkerSlot } from "./worker-slot.ts";

/** Questions that a healthy worker answers at once. */
const answerMs = 1000;

export interface PoolParts extends Omit<SlotParts, "states" | "command" | "onWanted"> {
  /** Of services that callers want, those that there are not. */
  readonly find: FindServices;
}

/** One worker process. */
export interface WorkerStatus {
  readonly number: number;
  /** Null while there is none. */
  readonly pid: number | null;
  /** A leaving one finishes its requests while its successor serves. */
  readonly state: SlotState | "leaving";
  /** Of the snapshot that it serves. */
  readonly version: number | null;
}

export interface ReportedWorker extends WorkerStatus {
  /** Null when it did not answer. */
  readonly report: RuntimeReport | null;
}

export interface PoolProcess extends Pick<WorkerStatus, "number" | "state"> {
  readonly process: WorkerProcess;
}

export class WorkerPool {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #slots: readonly WorkerSlot[];
  #states: readonly ServiceState[] = [];
  #command: number | null = null;
  /** Served by all. */
  #live: Snapshot | null = null;
  #replacing: Promise<void> | null = null;

  /** Takes over workers that were started before this code was even loaded; number 1 has seat 0, and so on. */
  constructor(parts: PoolParts, first: readonly WorkerProcess[]) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    const wanted = new WantedNames({ ...parts, missing: (services) => this.#servicesMissing(services) });
    const slotParts: SlotParts = {
      ...parts,
      states: () => this.#states,
      command: () => this.#command,
      onWanted: (service) => wanted.want(service),
    };
    this.#slots = first.map((process, index) => {
      const seats = [process.seat, process.seat + first.length] as const;
      return new WorkerSlot(slotParts, { number: index + 1, seats }, process);
    });
  }

  get status(): readonly WorkerStatus[] {
    return this.#slots.flatMap(statusOf).map(({ process: _, ...status }) => status);
  }

  /** Null when every worker serves this version, else who does not. */
  lacking(version: number): string | null {
    const behind = this.status.find((one) => one.state !== "leaving" && one.version !== version);
    if (behind === undefined) return null;
    const serves = behind.version === null ? "nothing" : `version ${behind.version}`;
    return `worker ${behind.number} is ${behind.state} and serves ${serves}, wanted version ${version}`;
  }

  /**
   * Makes a snapshot live in all workers, or in none. The first one has it alone at first: what it refuses, or ends over,
   * the others never see. Null when a worker ended, or was ended, over it.
   */
  async apply(snapshot: Snapshot): Promise<ApplyResult | null> {
    const results: (ApplyResult | null)[] = [];
    for (const slots of [this.#slots.slice(0, 1), this.#slots.slice(1)]) {
      results.push(...(await Promise.all(slots.map((slot) => slot.apply(partOf(snapshot, slot))))));
      if (results.some((result) => result?.ok !== true)) break;
    }
    const failed = results.filter((result) => result?.ok !== true);
    if (failed.length === 0) {
      this.#live = snapshot;
      return {
        ok: true,
        held: mostHeld(results.flatMap((result) => (result?.ok === true ? result.held : []))),
      };
    }
    await this.#revert(results);
    const problems = failed.flatMap((result) => (result?.ok === false ? result.problems : []));
    return problems.length === 0 ? null : { ok: false, problems: unique(problems) };
  }

  async #revert(results: readonly (ApplyResult | null)[]): Promise<void> {
    const live = this.#live;
    if (live === null) return;
    const taken = this.#slots.filter((_, index) => results[index]?.ok === true);
    await Promise.all(taken.map((slot) => slot.revert(partOf(live, slot))));
  }

  /**
   * Takes something back: all workers get this snapshot, and one that ended, or ends over it, begins with it. Null when
   * it is live or will be; else what a worker says against it, and then all serve what they served.
   */
  async takeBack(snapshot: Snapshot): Promise<readonly ApplyProblem[] | null> {
    const before = this.#live;
    this.#live = snapshot;
    const results = await Promise.all(this.#slots.map((slot) => slot.adopt(partOf(snapshot, slot))));
    const problems = results.flatMap((result) => (result?.ok === false ? result.problems : []));
    if (problems.length === 0) return null;
    this.#live = before;
    if (before !== null) await Promise.all(this.#slots.map((slot) => slot.revert(partOf(before, slot))));
    return unique(problems);
  }

  /** Every process that there is, those included that only finish their requests. */
  get processes(): readonly PoolProcess[] {
    return this.#slots.flatMap(statusOf).flatMap(({ process, number, state }) => {
      return process === null ? [] : [{ process, number, state }];
    });
  }

  /** What the node knows of its services; the list is complete each time. */
  updateServices(states: readonly ServiceState[]): void {
    this.#states = states;
    for (const slot of this.#slots) slot.updateServices(states);
  }

  /** The process beside the node; null when it has ended. */
  accompany(pid: number | null): void {
    this.#command = pid;
    for (const slot of this.#slots) slot.accompany(pid);
  }

  /** Services that callers wanted, and that there are not. */
  #servicesMissing(services: readonly string[]): void {
    for (const { process } of this.processes) void process.ask("missing", services, answerMs);
  }

  /**
   * Every worker gets a successor, one after the other; each finishes its requests once that one serves. Stops at the
   * first that does not. What is asked for while this goes on is this.
   */
  replaceAll(): Promise<void> {
    this.#replacing ??= this.#replaceEach().finally(() => {
      this.#replacing = null;
    });
    return this.#replacing;
  }

  async #replaceEach(): Promise<void> {
    const startMs = this.#clock.now();
    this.#log.info("the workers are replaced, one after the other");
    for (const { number } of this.#slots) if ((await this.replace(number)) !== null) return;
    const tookMs = Math.round(this.#clock.now() - startMs);
    this.#log.info("all workers are replaced", { workers: this.#slots.length, tookMs });
  }

  /** One of them. Null when its successor serves, else why not: then it goes on itself. */
  async replace(number: number): Promise<string | null> {
    const slot = this.#slots[number - 1]!;
    const startMs = this.#clock.now();
    const problem = await slot.replace();
    const facts = {
      worker: number,
      workerPid: slot.process?.pid ?? null,
      tookMs: Math.round(this.#clock.now() - startMs),
    };
    if (problem === null) this.#log.info(`worker ${number} is replaced`, facts);
    else this.#log.error(`worker ${number} is not replaced, its successor failed`, { ...facts, problem });
    return problem;
  }

  /** Waits for what was measured until now. */
  async measure(): Promise<void> {
    const processes = this.#slots.flatMap(statusOf).map(({ process }) => process);
    await Promise.all(processes.map((process) => process?.ask("measure", null, answerMs)));
  }

  report(): Promise<ReportedWorker[]> {
    const asked = this.#slots.flatMap(statusOf).map(async ({ process, ...status }) => ({
      ...status,
      report: (await process?.ask("report", null, answerMs)) ?? null,
    }));
    return Promise.all(asked);
  }

  /** Has the callers of the listener of this name go elsewhere; who is still there, in all workers that answer. */
  async leave(listener: string, stage: LeavingStage): Promise<Callers> {
    const asked = this.processes.map(({ process }) => process.ask("leave", { listener, stage }, answerMs));
    return allCallers((await Promise.all(asked)).filter((answer) => answer !== null));
  }

  /** Resolves when all have finished their requests, or `timeoutMs` later, and have ended. */
  async drain(timeoutMs: number): Promise<{ readonly forced: number }> {
    const drained = await Promise.all(this.#slots.map((slot) => slot.drain(timeoutMs)));
    return { forced: drained.reduce((sum, { forced }) => sum + forced, 0) };
  }

  kill(): void {
    for (const slot of this.#slots) slot.kill();
  }
}

function statusOf(slot: WorkerSlot): (WorkerStatus & { readonly process: WorkerProcess | null })[] {
  const { number, process, state, leaving } = slot;
  const all = [{ number, pid: process?.pid ?? null, state, version: process?.version ?? null, process }];
  if (leaving === null) return all;
  const { pid, version } = leaving;
  return [...all, { number, pid, state: "leaving", version, process: leaving }];
}

/** Only TCP addresses can be shared: the first worker alone serves those that are paths. */
function partOf(snapshot: Snapshot, { number }: WorkerSlot): Snapshot {
  if (number === 1) return snapshot;
  const known = withoutPaths.get(snapshot);
  if (known !== undefined) return known;
  const listeners = snapshot.listeners.filter(({ bind }) => !("unixPath" in bind));
  const part = listeners.length === snapshot.listeners.length ? snapshot : { ...snapshot, listeners };
  withoutPaths.set(snapshot, part);
  return part;
}

/** The same object for all workers: a large one is cut into messages only once. */
const withoutPaths = new WeakMap<Snapshot, Snapshot>();

/** As if one worker had been held as long as any. */
function mostHeld(all: readonly Held[]): Held {
  const most = (of: (held: Held) => number) => Math.max(...all.map(of));
  return { longestMs: most(({ longestMs }) => longestMs), totalMs: most(({ totalMs }) => totalMs) };
}

function unique(problems: readonly ApplyProblem[]): ApplyProblem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
