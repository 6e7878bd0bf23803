/** Keeps one worker alive, with the current snapshot. */
import type { RuntimeReport } from "../runtime/report.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Ejection, Snapshot } from "../snapshot.ts";
import type { MeterDelta } from "../telemetry/index.ts";
import type { Clock, Log, ProcessEnd } from "../types.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** A worker is asked every second; one that left two questions unanswered is replaced. */
const beatPeriodMs = 1000;
const silenceMs = 3 * beatPeriodMs;
/** For one that starts or compiles a configuration. */
const applySilenceMs = 30_000;
/** Questions that a healthy worker answers at once. */
const answerMs = 1000;
const endMs = 2000;
/** A worker that lived so long is restarted at once, others after a pause that doubles. */
const healthyAfterMs = 10_000;
const pauseFirstMs = 100;
const pauseMaxMs = 5000;

export interface SlotParts {
  readonly clock: Clock;
  readonly log: Log;
  start(): WorkerProcess;
  /** Before a new worker gets the snapshot of one that died. */
  clearAfterDeath(snapshot: Snapshot): Promise<void>;
  onMeasured(process: WorkerProcess, measured: MeterDelta): void;
  /** Endpoints that this worker took out by itself. */
  onEjections(process: WorkerProcess, ejections: readonly Ejection[]): void;
  onEnded(process: WorkerProcess): void;
}

export type SlotState = "starting" | "serving" | "restarting" | "draining";

export interface WorkerStatus {
  readonly pid: number | null;
  readonly state: SlotState;
  /** Of the snapshot that it serves. */
  readonly version: number | null;
}

export class WorkerSlot {
  readonly #parts: SlotParts;
  #process: WorkerProcess | null = null;
  #startedAtMs = 0;
  #current: Snapshot | null = null;
  #version: number | null = null;
  #state: SlotState = "starting";
  #failures = 0;
  #changes: Promise<unknown> = Promise.resolve();
  #cancelRestart: () => void = () => {};
  #tickAtMs: number;

  /** Takes over a worker that was started before this code was even loaded. */
  constructor(parts: SlotParts, first: WorkerProcess) {
    this.#parts = parts;
    this.#tickAtMs = parts.clock.now();
    this.#adopt(first);
    parts.clock.every(beatPeriodMs, () => this.#beat());
  }

  get status(): WorkerStatus {
    return { pid: this.#process?.pid ?? null, state: this.#state, version: this.#version };
  }

  /** On failure the worker serves what it served; null when it ended, or was ended, over this snapshot. */
  apply(snapshot: Snapshot): Promise<ApplyResult | null> {
    return this.#inTurn(async () => {
      const process = this.#process ?? this.#restart();
      const result = await process.apply(snapshot, applySilenceMs);
      if (result?.ok === true) {
        this.#current = snapshot;
        this.#serving(snapshot.version);
      } else if (result === null) {
        process.kill();
      } else if (this.#version === null) {
        await this.#applyCurrent(process);
      }
      return result;
    });
  }

  /** Waits for what was measured until now. */
  async measure(): Promise<void> {
    await this.#process?.ask("measure", null, answerMs);
  }

  async report(): Promise<RuntimeReport | null> {
    return (await this.#process?.ask("report", null, answerMs)) ?? null;
  }

  /** Resolves when the worker has finished its requests, or `timeoutMs` later, and has ended. */
  async drain(timeoutMs: number): Promise<{ readonly forced: number }> {
    this.#state = "draining";
    this.#cancelRestart();
    const process = this.#process;
    if (process === null) return { forced: 0 };
    const answer = await process.ask("drain", { timeoutMs }, timeoutMs + endMs);
    if (answer !== null) this.#parts.onMeasured(process, answer.measured);
    // It has written everything and says so: nothing is lost by ending it here.
    process.kill();
    await process.ended;
    return { forced: answer?.forced ?? 0 };
  }

  kill(): void {
    this.#state = "draining";
    this.#cancelRestart();
    this.#process?.kill();
  }

  /** A snapshot must not overtake another on its way to the worker. */
  #inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#changes.then(change);
    this.#changes = result.catch(() => {});
    return result;
  }

  #serving(version: number): void {
    this.#version = version;
    if (this.#state !== "draining") this.#state = "serving";
  }

  #adopt(process: WorkerProcess): void {
    this.#process = process;
    this.#startedAtMs = this.#parts.clock.now();
    process.onBeat = ({ measured, ejections }) => {
      this.#parts.onMeasured(process, measured);
      if (ejections.length > 0) this.#parts.onEjections(process, ejections);
    };
    process.ended.then((end) => this.#ended(process, end));
  }

  #restart(): WorkerProcess {
    this.#cancelRestart();
    const process = this.#parts.start();
    this.#adopt(process);
    return process;
  }

  #revive(): void {
    const process = this.#restart();
    this.#inTurn(() => this.#applyCurrent(process));
  }

  async #applyCurrent(process: WorkerProcess): Promise<void> {
    if (this.#current === null) return;
    const snapshot = this.#current;
    await this.#parts.clearAfterDeath(snapshot);
    const result = await process.apply(snapshot, applySilenceMs);
    if (result?.ok === true) {
      this.#serving(snapshot.version);
      return;
    }
    const problems = result?.problems.map(({ message }) => message).join("; ") ?? "no answer";
    this.#parts.log.error("a restarted worker refused the current configuration", { problems });
    process.kill();
  }

  #ended(process: WorkerProcess, end: ProcessEnd): void {
    process.onBeat = () => {};
    this.#parts.onEnded(process);
    this.#process = null;
    this.#version = null;
    if (this.#state === "draining") return;
    this.#state = "restarting";
    const livedMs = this.#parts.clock.now() - this.#startedAtMs;
    this.#failures = livedMs >= healthyAfterMs ? 0 : this.#failures + 1;
    const pauseMs = this.#failures === 0 ? 0 : Math.min(pauseMaxMs, pauseFirstMs * 2 ** (this.#failures - 1));
    const how = {
      worker: process.pid,
      code: end.code,
      signal: end.signal,
      livedMs: Math.round(livedMs),
      pauseMs,
    };
    this.#parts.log.error("the worker ended; it is replaced", how);
    this.#cancelRestart = this.#parts.clock.after(pauseMs, () => this.#revive());
  }

  #beat(): void {
    const nowMs = this.#parts.clock.now();
    const lateMs = nowMs - this.#tickAtMs - beatPeriodMs;
    this.#tickAtMs = nowMs;
    const process = this.#process;
    if (process === null) return;
    const allowedMs = process.applying || this.#version === null ? applySilenceMs : silenceMs;
    const silentMs = nowMs - process.lastHeardMs;
    // When this process itself was held up, the answers may be here, unread.
    if (silentMs > allowedMs && lateMs < beatPeriodMs / 2) {
      this.#parts.log.error("the worker's heartbeat stopped", {
        worker: process.pid,
        silentMs: Math.round(silentMs),
      });
      process.kill();
    } else {
      process.beat();
    }
  }
}
