/** One of a node's workers: whatever process it is at the moment, it has the current snapshot. */

import type { Clock, ProcessEnd } from "../machine.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Ejection, ServiceState, Snapshot } from "../snapshot.ts";
import type { MeterDelta } from "../telemetry/index.ts";
import type { Log } from "../types.ts";
import { counted } from "./announcements.ts";
import type { WorkerPlace, WorkerProcess } from "./worker-process.ts";

/** A worker is asked every second; one that left two questions unanswered is replaced. */
const beatPeriodMs = 1000;
const silenceMs = 2.5 * beatPeriodMs;
/** For one that starts or compiles a configuration. */
const applySilenceMs = 30_000;
/** Beyond the time in which a worker is to have finished its requests. */
const endMs = 2000;
/** Processes that one snapshot is given to, one after the other, while each of them ends over it. */
const adoptTriesMax = 3;
/** A worker that lived so long is restarted at once, others after a pause that doubles. */
const healthyAfterMs = 2000;
const pauseFirstMs = 100;
const pauseMaxMs = 5000;

export interface SlotParts {
  readonly clock: Clock;
  readonly log: Log;
  start(place: WorkerPlace): WorkerProcess;
  /** What every process is told before its first snapshot. */
  states(): readonly ServiceState[];
  /** The process beside the node, should the supervisor be gone one day. */
  command(): number | null;
  onMeasured(process: WorkerProcess, measured: MeterDelta): void;
  /** Endpoints that this worker took out by itself. */
  onEjections(process: WorkerProcess, ejections: readonly Ejection[]): void;
  /** A caller of it wants a service that the snapshot has not. */
  onWanted(service: string): void;
  /** It gives no sign of life, and is killed when this returns. */
  onSilent(process: WorkerProcess): void;
  /** Returns how many connections it had open; null when nobody can know. */
  onEnded(process: WorkerProcess): number | null;
}

export type SlotState = "starting" | "serving" | "restarting" | "draining";

/** The worker's number, and what its processes are called by: one may have a successor, or a predecessor that finishes. */
export interface SlotOptions {
  readonly number: number;
  /** Two, so that a process and its successor never share one. */
  readonly seats: readonly [number, number];
}

export class WorkerSlot {
  readonly number: number;
  readonly #parts: SlotParts;
  readonly #seats: readonly [number, number];
  #process: WorkerProcess | null = null;
  /** Started to take over, not serving yet. */
  #successor: WorkerProcess | null = null;
  /** Taken over from, finishing its requests. */
  #leaving: WorkerProcess | null = null;
  #current: Snapshot | null = null;
  #state: SlotState = "starting";
  #failures = 0;
  #changes: Promise<unknown> = Promise.resolve();
  #cancelRestart: () => void = () => {};
  #tickAtMs: number;

  /** Takes over a worker that was started before this code was even loaded. */
  constructor(parts: SlotParts, options: SlotOptions, first: WorkerProcess) {
    this.#parts = parts;
    this.number = options.number;
    this.#seats = options.seats;
    this.#tickAtMs = parts.clock.now();
    this.#adopt(first);
    this.#process = first;
    parts.clock.every(beatPeriodMs, () => this.#beat());
  }

  get state(): SlotState {
    return this.#state;
  }

  /** The one that serves, or will. */
  get process(): WorkerProcess | null {
    return this.#process;
  }

  get leaving(): WorkerProcess | null {
    return this.#leaving;
  }

  /** On failure the worker serves what it served; null when it ended, or was ended, over this snapshot. */
  apply(snapshot: Snapshot): Promise<ApplyResult | null> {
    return this.#inTurn(async () => {
      const process = this.#process ?? this.#restart();
      const result = await process.apply(snapshot, applySilenceMs);
      if (result?.ok === true) {
        this.#current = snapshot;
        this.#serving();
      } else if (result === null) {
        process.kill();
      } else if (process.version === null) {
        await this.#applyCurrent(process);
      }
      return result;
    });
  }

  /** Back to a snapshot that it served before. */
  revert(snapshot: Snapshot): Promise<void> {
    return this.#inTurn(async () => {
      this.#current = snapshot;
      if (this.#process !== null) await this.#applyCurrent(this.#process);
    });
  }

  /**
   * A snapshot that is to be instead of the current one whatever becomes of the process: one that restarts meanwhile
   * begins with it. The result is that of the process that it lives to say so; null when none does.
   */
  adopt(snapshot: Snapshot): Promise<ApplyResult | null> {
    this.#current = snapshot;
    return this.#inTurn(async () => {
      for (let tries = 0; tries < adoptTriesMax && this.#state !== "draining"; tries++) {
        const process = this.#process ?? this.#restart();
        const applying =
          process.version === null
            ? process.apply(snapshot, applySilenceMs)
            : process.applyAtOnce(snapshot, applySilenceMs);
        const result = await applying;
        if (result?.ok === true) this.#serving();
        if (result !== null) return result;
        process.kill();
        await process.ended;
      }
      return null;
    });
  }

  /**
   * Starts a successor, and lets the worker finish once that one serves. Null when it does, else why not: then the
   * worker goes on.
   */
  async replace(): Promise<string | null> {
    await this.#leaving?.ended;
    return this.#inTurn(async () => {
      const [current, old] = [this.#current, this.#process];
      // Another replacement, or a restart, just did what is wanted.
      if (current === null || old === null || this.#leaving !== null) return null;
      const successor = this.#start();
      this.#successor = successor;
      const result = await successor.apply(current, applySilenceMs);
      this.#successor = null;
      if (result?.ok !== true) {
        successor.dismiss();
        if (this.#process === null && this.#state !== "draining") this.#restartAfter(0);
        return problemsOf(result);
      }
      this.#leaving = this.#process;
      this.#process = successor;
      this.#serving();
      if (this.#leaving !== null) this.#finish(this.#leaving, current.drainMs);
      return null;
    });
  }

  updateServices(states: readonly ServiceState[]): void {
    for (const process of this.#processes) process.updateServices(states);
  }

  /** Null when it has ended. */
  accompany(pid: number | null): void {
    for (const process of this.#processes) void process.ask("command", pid, applySilenceMs);
  }

  /** Resolves when the worker has finished its requests, or `timeoutMs` later, and has ended. */
  async drain(timeoutMs: number): Promise<{ readonly forced: number }> {
    this.#state = "draining";
    this.#cancelRestart();
    this.#successor?.dismiss();
    const leaving = this.#leaving;
    const forced = this.#process === null ? 0 : await this.#finish(this.#process, timeoutMs);
    await leaving?.ended;
    return { forced };
  }

  kill(): void {
    this.#state = "draining";
    this.#cancelRestart();
    for (const process of this.#processes) process.dismiss();
  }

  get #processes(): readonly WorkerProcess[] {
    return [this.#process, this.#successor, this.#leaving].filter((process) => process !== null);
  }

  async #finish(process: WorkerProcess, timeoutMs: number): Promise<number> {
    const answer = await process.ask("drain", { timeoutMs }, timeoutMs + endMs);
    if (answer !== null) this.#parts.onMeasured(process, answer.measured);
    const forced = answer?.forced ?? 0;
    if (forced > 0) {
      const facts = { worker: this.number, workerPid: process.pid, connections: forced };
      this.#parts.log.warn(
        `worker ${this.number} reset ${counted(forced, "connection")} at the end of its drain`,
        facts,
      );
    }
    // It has written everything and says so: nothing is lost by ending it here.
    process.dismiss();
    await process.ended;
    return forced;
  }

  /** A snapshot must not overtake another on its way to the worker. */
  #inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#changes.then(change);
    this.#changes = result.catch(() => {});
    return result;
  }

  #serving(): void {
    if (this.#state !== "draining") this.#state = "serving";
  }

  #start(): WorkerProcess {
    const taken = this.#processes.map((process) => process.seat);
    const seat = this.#seats.find((one) => !taken.includes(one))!;
    const process = this.#parts.start({ number: this.number, seat });
    this.#adopt(process);
    return process;
  }

  #adopt(process: WorkerProcess): void {
    process.onBeat = ({ measured, ejections }) => {
      this.#parts.onMeasured(process, measured);
      if (ejections.length > 0) this.#parts.onEjections(process, ejections);
    };
    process.onWanted = (service) => this.#parts.onWanted(service);
    const states = this.#parts.states();
    if (states.length > 0) process.updateServices(states);
    const command = this.#parts.command();
    if (command !== null) void process.ask("command", command, applySilenceMs);
    process.ended.then((end) => this.#ended(process, end));
  }

  #restart(): WorkerProcess {
    this.#cancelRestart();
    this.#process = this.#start();
    return this.#process;
  }

  #restartAfter(pauseMs: number): void {
    const diedAtMs = this.#parts.clock.now();
    this.#cancelRestart = this.#parts.clock.after(pauseMs, () => this.#revive(diedAtMs));
  }

  #revive(diedAtMs: number): void {
    const process = this.#restart();
    this.#inTurn(async () => {
      await this.#applyCurrent(process);
      if (process !== this.#process || process.version === null) return;
      const tookMs = Math.round(this.#parts.clock.now() - diedAtMs);
      this.#parts.log.info(`worker ${this.number} serves again after ${tookMs} ms`, {
        worker: this.number,
        workerPid: process.pid,
      });
    });
  }

  async #applyCurrent(process: WorkerProcess): Promise<void> {
    if (this.#current === null) return;
    const result = await process.apply(this.#current, applySilenceMs);
    if (result?.ok === true) {
      this.#serving();
      return;
    }
    const problems = problemsOf(result);
    this.#parts.log.error(`worker ${this.number} refused the current configuration`, {
      worker: this.number,
      workerPid: process.pid,
      problems,
    });
    process.kill();
  }

  #ended(process: WorkerProcess, end: ProcessEnd): void {
    process.onBeat = () => {};
    const connections = this.#parts.onEnded(process);
    const served = process === this.#process;
    if (served) this.#process = null;
    if (process === this.#leaving) this.#leaving = null;
    if (process.dismissed || this.#state === "draining") return;
    const livedMs = Math.round(this.#parts.clock.now() - process.startedAtMs);
    const lost = connections === null ? "" : `: ${counted(connections, "connection")} lost`;
    const facts = { worker: this.number, workerPid: process.pid, ...end, connections, livedMs };
    this.#parts.log.error(
      `worker ${this.number} ended (${end.signal ?? `exit code ${end.code}`})${lost}`,
      facts,
    );
    if (!served) return;
    this.#state = "restarting";
    this.#failures = livedMs >= healthyAfterMs ? 0 : this.#failures + 1;
    // It takes over in a moment.
    if (this.#successor !== null) return;
    this.#restartAfter(
      this.#failures === 0 ? 0 : Math.min(pauseMaxMs, pauseFirstMs * 2 ** (this.#failures - 1)),
    );
  }

  #beat(): void {
    const nowMs = this.#parts.clock.now();
    const lateMs = nowMs - this.#tickAtMs - beatPeriodMs;
    this.#tickAtMs = nowMs;
    for (const process of this.#processes) {
      const allowedMs = process.applying || process.version === null ? applySilenceMs : silenceMs;
      const silentMs = nowMs - process.lastHeardMs;
      // When this process itself was held up, the answers may be here, unread.
      if (silentMs > allowedMs && lateMs < beatPeriodMs / 2) {
        const facts = { worker: this.number, workerPid: process.pid, silentMs: Math.round(silentMs) };
        this.#parts.log.error(`worker ${this.number} gives no sign of life; it is killed`, facts);
        this.#parts.onSilent(process);
        process.kill();
      } else {
        process.beat();
      }
    }
  }
}

function problemsOf(result: ApplyResult | null): string {
  if (result === null) return "it ended, or did not answer";
  return result.ok ? "" : result.problems.map(({ message }) => message).join("; ");
}
