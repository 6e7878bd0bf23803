/** A config whose filters are somebody's own code, loaded in a throw-away process that is ended when it does not behave. */
import type { ChildProcess, Clock, ProcessEnd, Processes } from "../../machine.ts";
import type { Problem, TrialStep } from "../../snapshot.ts";
import type { NotedFiles } from "../readings.ts";
import {
  doing,
  type TrialMessage,
  type TrialPurpose,
  type TriedConfig,
  trialVerb,
} from "./trial-messages.ts";

/** For one step of one filter. */
const stepMsMax = 5_000;
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
  readonly processes: Pick<Processes, "startApart" | "usage">;
}

export interface TrialTarget {
  readonly purpose: TrialPurpose;
  /** The config file, as the user named it. */
  readonly file: string;
  readonly version: number;
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
    if (message.kind === "begin") await this.#begin(message);
    if (message.kind === "end") {
      this.#running = false;
      this.#within(betweenMsMax);
    }
    if (message.kind === "tried") this.#finish(message.config);
  }

  async #begin({ step, answer }: { readonly step: TrialStep; readonly answer: boolean }): Promise<void> {
    if (this.#baseBytes === null) await this.#measure();
    this.#step = step;
    this.#running = true;
    this.#within(stepMsMax);
    if (answer) this.#child.send("known");
  }

  #within(limitMs: number): void {
    this.#cancelStep();
    this.#cancelStep = this.#parts.clock.after(limitMs, () => this.#fail(lateText(limitMs)));
  }

  /** What grows between two steps is the program's own. */
  async #measure(): Promise<void> {
    const usage = await this.#parts.processes.usage(this.#child.pid);
    if (usage === null || this.#done) return;
    const { residentBytes } = usage;
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
      problems: [this.#problem(what)],
      resolved: null,
      schema: null,
      foreign: true,
    });
  }

  #problem(what: string): Problem {
    if (this.#step === null) {
      const message = `cannot check this file: the process that tries its filters ${what}`;
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
