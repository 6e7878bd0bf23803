/** Keeps one worker alive, with the current snapshot. */
import type { RuntimeReport } from "../runtime/report.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Snapshot } from "../snapshot.ts";
import type { MeterDelta } from "../telemetry/index.ts";
import type { Clock, Log, ProcessEnd } from "../types.ts";
import { beatPeriodMs } from "./messages.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** A worker beats every second; one that missed two of them is replaced. */
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
  #cancelRestart: () => void = () => {};
  #tickAtMs: number;

  /** Takes over a worker that was started before this code was even loaded. */
  constructor(parts: SlotParts, first: WorkerProcess) {
    this.#parts = parts;
    this.#tickAtMs = parts.clock.now();
    this.#adopt(first);
    parts.clock.every(beatPeriodMs, () => this.#watchBeat());
  }

  get status(): WorkerStatus {
    return { pid: this.#process?.pid ?? null, state: this.#state, version: this.#version };
  }

  /** On failure the worker serves what it served; null when it ended, or was ended, over this snapshot. */
  async apply(snapshot: Snapshot): Promise<ApplyResult | null> {
    const process = this.#process ?? this.#restart();
    const result = await process.ask("apply", snapshot, applySilenceMs);
    if (result?.ok === true) {
      this.#current = snapshot;
      this.#serving(snapshot.version);
      return result;
    }
    if (result === null) process.kill();
    else if (this.#version === null && this.#current !== null) this.#applyCurrent(process);
    return result;
  }

  /** Asks for what was measured since the last beat. */
  async measure(): Promise<void> {
    const process = this.#process;
    const measured = (await process?.ask("measure", null, answerMs)) ?? null;
    if (process !== null && measured !== null) this.#parts.onMeasured(process, measured);
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

  #serving(version: number): void {
    this.#version = version;
    if (this.#state !== "draining") this.#state = "serving";
  }

  #adopt(process: WorkerProcess): void {
    this.#process = process;
    this.#startedAtMs = this.#parts.clock.now();
    process.onMeasured = (measured) => this.#parts.onMeasured(process, measured);
    process.ended.then((end) => this.#ended(process, end));
  }

  #restart(): WorkerProcess {
    this.#cancelRestart();
    const process = this.#parts.start();
    this.#adopt(process);
    return process;
  }

  async #applyCurrent(process: WorkerProcess): Promise<void> {
    if (this.#current === null) return;
    const snapshot = this.#current;
    await this.#parts.clearAfterDeath(snapshot);
    const result = await process.ask("apply", snapshot, applySilenceMs);
    if (result?.ok === true) {
      this.#serving(snapshot.version);
      return;
    }
    const problems = result?.problems.map(({ message }) => message).join("; ") ?? "no answer";
    this.#parts.log.error("a restarted worker refused the current configuration", { problems });
    process.kill();
  }

  #ended(process: WorkerProcess, end: ProcessEnd): void {
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
    this.#cancelRestart = this.#parts.clock.after(pauseMs, () => this.#applyCurrent(this.#restart()));
  }

  #watchBeat(): void {
    const nowMs = this.#parts.clock.now();
    const lateMs = nowMs - this.#tickAtMs - beatPeriodMs;
    this.#tickAtMs = nowMs;
    const process = this.#process;
    // When this process itself was held up, the beats may be here, unread.
    if (process === null || lateMs > beatPeriodMs / 2) return;
    const allowedMs = process.applying || this.#version === null ? applySilenceMs : silenceMs;
    const silentMs = nowMs - process.lastHeardMs;
    if (silentMs <= allowedMs) return;
    this.#parts.log.error("the worker's heartbeat stopped", {
      worker: process.pid,
      silentMs: Math.round(silentMs),
    });
    process.kill();
  }
}
