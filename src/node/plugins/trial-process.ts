/**
 * The process in which users' code is tried: it loads a whole config, and says before each step what it is about to
 * run. Whatever happens to it - an endless loop, memory without end, an exit - happens to nobody else.
 */
import type { FilterTrial } from "../../config/trial.ts";
import type { Clock, CodeFault, Files, ParentChannel, Processes, Random } from "../../machine.ts";
import type { Problem, TrialStep } from "../../snapshot.ts";
import type { FilterDefinition } from "../../types.ts";
import { recordReads } from "../readings.ts";
import { inertTools } from "./inert-tools.ts";
import { placeOfError, thrownText } from "./thrown.ts";
import { doing, type TrialMessage, type TriedConfig } from "./trial-messages.ts";

/** Where the system does not end it with its parent. */
const trialCpuMsMax = 60_000;
/** Errors that nothing caught; further ones say nothing new. */
const strayMax = 20;
/** Filters that were created with the same options; further ones are created once more. */
const createdMax = 10_000;

export interface TrialProcessParts {
  readonly parent: ParentChannel;
  readonly processes: Processes;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  /** `given` asks for what is handed over. */
  load(files: Files, trial: FilterTrial, given: () => Promise<unknown>): Promise<TriedConfig>;
}

/** Never resolves: who started it ends it. */
export async function runTrial(parts: TrialProcessParts): Promise<never> {
  const { processes, parent } = parts;
  // What ends a node ends its trial too; what only changes it does not.
  for (const name of ["SIGHUP", "SIGUSR2"] as const) processes.onSignal(name, () => {});
  parent.onClosed(() => processes.exit(1));
  // A loop hears nothing of that.
  await processes.endWithParent();
  processes.endAfterBusy(trialCpuMsMax);
  const trial = new Trial(parts);
  const config = await parts.load(trial.files, trial, () => trial.given());
  const stray = trial.strayProblems();
  const problems = [...config.problems, ...stray];
  trial.send({
    kind: "tried",
    config: { ...config, problems, ...(stray.length > 0 ? { snapshot: null, document: null } : {}) },
  });
  return new Promise(() => {});
}

interface Stray {
  readonly error: unknown;
  readonly step: TrialStep;
}

class Trial implements FilterTrial {
  readonly files: Files;
  readonly #parts: TrialProcessParts;
  readonly #texts = new Map<string, string>();
  readonly #created = new Set<string>();
  readonly #stray: Stray[] = [];
  #last: TrialStep | null = null;
  #known: ((answer?: unknown) => void) | null = null;

  constructor(parts: TrialProcessParts) {
    this.#parts = parts;
    const { files } = recordReads(parts.files, (of, path, outcome) =>
      this.send({ kind: "read", of, path, outcome }),
    );
    this.files = {
      ...files,
      read: async (path) => {
        const text = await files.read(path);
        this.#texts.set(path, text);
        return text;
      },
    };
    parts.parent.onMessage((answer) => this.#known?.(answer));
    parts.processes.onUncaught((error) => {
      if (this.#last !== null && this.#stray.length < strayMax) this.#stray.push({ error, step: this.#last });
    });
  }

  send(message: TrialMessage): void {
    this.#parts.parent.send(message);
  }

  given(): Promise<unknown> {
    return new Promise((resolve) => {
      this.#known = resolve;
      this.send({ kind: "wanted" });
    });
  }

  async begin(step: TrialStep): Promise<void> {
    this.#last = step;
    const known = new Promise<void>((resolve) => {
      this.#known = () => resolve();
    });
    this.send({ kind: "begin", step, answer: true });
    await known;
  }

  async end(): Promise<void> {
    // An error that nothing catches is told after the turn in which it was thrown.
    await new Promise<void>((resolve) => this.#parts.clock.after(1, resolve));
    this.endNow();
  }

  beginNow(step: TrialStep): void {
    this.#last = step;
    this.send({ kind: "begin", step, answer: false });
  }

  endNow(): void {
    this.send({ kind: "end" });
  }

  create(definition: FilterDefinition, options: unknown): CodeFault | null {
    const key = JSON.stringify([definition.name, options]);
    if (this.#created.has(key)) return null;
    if (this.#created.size < createdMax) this.#created.add(key);
    try {
      const { tools } = inertTools(this.#parts, { name: definition.name, options });
      const made = (definition.middleware ?? definition.upstream)(definition.options.parse(options), tools);
      if (typeof made === "function") return null;
      const shape = definition.middleware === undefined ? "(call, send)" : "(c, next)";
      return { message: `wanted a function of ${shape}, not ${kindOf(made)}`, place: null };
    } catch (error) {
      return { message: thrownText(error), place: placeOfError(error, this.#texts) };
    }
  }

  strayProblems(): Problem[] {
    return this.#stray.map(({ error, step }) => {
      const place = placeOfError(error, this.#texts);
      const at =
        place === null
          ? step.at
          : { ...place, path: step.at.path, excerpt: excerptOf(place.text, place.length) };
      const { file, line, column, path, excerpt } = at;
      const message = `cannot use the filter "${step.name}": ${doing[step.work]} left an error that nothing catches: ${thrownText(error)}`;
      const hints = place === null ? [] : [`named in ${step.at.file}:${step.at.line}`];
      return { file, line, column, path, message, hints, excerpt };
    });
  }
}

function excerptOf(text: string | null, length: number) {
  return text === null ? null : { text, length };
}

function kindOf(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  return value === null || value === undefined ? "nothing" : `a value of type ${typeof value}`;
}
