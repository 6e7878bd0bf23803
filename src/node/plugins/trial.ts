/** A config whose filters are somebody's own code, loaded in a throw-away process that is ended when it does not behave. */
import type { ChildProcess, Clock, ProcessEnd, Processes } from "../../machine.ts";
import type { Problem, TrialStep } from "../../snapshot.ts";
import type { NotedFiles } from "../readings.ts";
import {
  doing,
  type GivenFilters,
  type TrialMessage,
  type TrialPurpose,
  type TriedConfig,
  trialVerb,
} from "./trial-messages.ts";

/** For one step of one filter, when it waits for something; or its processor time, when it computes. */
const stepMsMax = 5_000;
/** For one that computes, and has to wait for a processor because others compute too. */
const starvedMsMax = 30_000;
/** Asked that often whether it still computes. */
const starvedPollMs = 250;
/** From one step to the next, in which the program's own code runs. */
const betweenMsMax = 20_000;
/** For all of it. */
const trialMsMax = 60_000;
/** Beyond what the process had before users' code. */
const memoryBytesMax = 256 * 1024 * 1024;
const memoryPollMs = 25;
/** What a process said just before it ended may come after the news of its end. */
const lastWordsMs = 100;

export interface TrialParts {
  readonly clock: Clock;
  readonly processes: Pick<Processes, "startApart" | "usage" | "runnable">;
}

export interface TrialTarget {
  readonly purpose: TrialPurpose;
  /** The config file, as the user named it. */
  readonly file: string;
  readonly version: number;
  /** With the purpose `filters`: those. */
  readonly given?: GivenFilters;
}

/** Never rejects. What the trial reads is noted in `files`. */
export function tryConfig(parts: TrialParts, target: TrialTarget, files: NotedFiles): Promise<TriedConfig> {
  return new TrialRun(parts, target, files).result;
}

class TrialRun {
  readonly #parts: TrialParts;
  readonly #target: TrialTarget;
  readonly #files: NotedFiles;
  readonly #child: ChildProcess;
  readonly #result = Promise.withResolvers<TriedConfig>();
  readonly #stopPolling: () => void;
  readonly #cancelWhole: () => void;
  #cancelStep: () => void = () => {};
  /** What runs now, or ran last. */
  #step: TrialStep | null = null;
  #running = false;
  #baseBytes: number | null = null;
  #cpuSeconds = 0;
  #done = false;

  constructor(parts: TrialParts, target: TrialTarget, files: NotedFiles) {
    this.#parts = parts;
    this.#target = target;
    this.#files = files;
    const { purpose, file, version } = target;
    const args = [trialVerb, purpose, file, String(version)];
    const { clock, processes } = parts;
    this.#child = processes.startApart(args, (message) => void this.#receive(message as TrialMessage));
    this.#child.ended.then((end) => clock.after(lastWordsMs, () => this.#fail(endText(end))));
    this.#stopPolling = clock.every(memoryPollMs, () => void this.#measure());
    this.#cancelWhole = clock.after(trialMsMax, () => this.#fail(lateText(trialMsMax)));
  }

  get result(): Promise<TriedConfig> {
    return this.#result.promise;
  }

  async #receive(message: TrialMessage): Promise<void> {
    if (this.#done) return;
    if (message.kind === "read") this.#files.note(message.of, message.path, message.outcome);
    if (message.kind === "wanted") this.#child.send(this.#target.given ?? null);
    if (message.kind === "begin") await this.#begin(message);
    if (message.kind === "end") {
      this.#running = false;
      this.#within(betweenMsMax, () => this.#fail(lateText(betweenMsMax)));
    }
    if (message.kind === "tried") this.#finish(message.config);
  }

  async #begin({ step, answer }: { readonly step: TrialStep; readonly answer: boolean }): Promise<void> {
    if (this.#baseBytes === null) await this.#measure();
    this.#step = step;
    this.#running = true;
    const began = { atMs: this.#parts.clock.now(), cpuSeconds: this.#cpuSeconds };
    this.#within(stepMsMax, () => void this.#late(began));
    if (answer) this.#child.send("known");
  }

  #within(limitMs: number, late: () => void): void {
    this.#cancelStep();
    this.#cancelStep = this.#parts.clock.after(limitMs, late);
  }

  /** On a machine that has too much to do, 5 s may pass before a step of a millisecond had its turn. */
  async #late(began: { readonly atMs: number; readonly cpuSeconds: number }): Promise<void> {
    const { clock, processes } = this.#parts;
    const step = this.#step;
    const [runnable] = await Promise.all([processes.runnable(this.#child.pid), this.#measure()]);
    if (this.#step !== step || !this.#running) return;
    const usedMs = (this.#cpuSeconds - began.cpuSeconds) * 1000;
    const starved = runnable && usedMs < stepMsMax && clock.now() - began.atMs < starvedMsMax;
    if (starved) this.#within(starvedPollMs, () => void this.#late(began));
    else this.#fail(lateText(stepMsMax));
  }

  /** What grows between two steps is the program's own. */
  async #measure(): Promise<void> {
    const usage = await this.#parts.processes.usage(this.#child.pid);
    if (usage === null || this.#done) return;
    const { residentBytes, cpuSeconds } = usage;
    this.#cpuSeconds = cpuSeconds;
    if (this.#baseBytes === null || !this.#running) {
      this.#baseBytes = Math.max(this.#baseBytes ?? 0, residentBytes);
    } else if (residentBytes - this.#baseBytes > memoryBytesMax) {
      this.#fail(`took more than ${memoryBytesMax / 1024 / 1024} MiB of memory`);
    }
  }

  /** `what` follows the name of the step. */
  #fail(what: string): void {
    this.#finish({
      snapshot: null,
      document: null,
      problems: [this.#problem(what)],
      resolved: null,
      schema: null,
      foreign: true,
    });
  }

  #problem(what: string): Problem {
    if (this.#step === null) {
      const message = `cannot check this file: trying its filters ${what}`;
      return { file: this.#target.file, line: 1, column: 1, path: "", message, hints: [], excerpt: null };
    }
    const { work, name, at } = this.#step;
    const done = this.#running ? doing[work] : `what goes on after ${doing[work]}`;
    return { ...at, message: `cannot use the filter "${name}": ${done} ${what}`, hints: [] };
  }

  #finish(config: TriedConfig): void {
    if (this.#done) return;
    this.#done = true;
    this.#stopPolling();
    this.#cancelWhole();
    this.#cancelStep();
    this.#child.kill();
    this.#result.resolve(config);
  }
}

function lateText(limitMs: number): string {
  return `took longer than ${limitMs / 1000} s`;
}

function endText({ code, signal }: ProcessEnd): string {
  return signal === null ? `ended the process with code ${code}` : `ended the process by ${signal}`;
}
