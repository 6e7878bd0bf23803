/**
 * What happens when users' filters do harm while they serve: whose doing it is, and back to the version before it. A
 * loop or a leak cannot be stopped inside a worker, so the worker is replaced; its requests alone are lost.
 */
import type { Clock, ProcessUsage } from "../../machine.ts";
import type { NodeMemory } from "../../runtime/node-memory/index.ts";
import type { ApplyProblem } from "../../runtime/runtime.ts";
import type { Snapshot } from "../../snapshot.ts";
import type { FilterTotals } from "../../telemetry/index.ts";
import type { Log } from "../../types.ts";
import type { OtherChange } from "../reloads.ts";
import type { PoolProcess, WorkerPool } from "../worker-pool.ts";
import type { WorkerProcess } from "../worker-process.ts";
import { type Suspect, whoGrows, whoHangs } from "./blame.ts";
import { ErrorWatch } from "./error-watch.ts";
import { PluginVersions, type Rollback, type RollbackCause } from "./plugin-versions.ts";
import { UsageWatch } from "./usage-watch.ts";

const lookPeriodMs = 1000;
/** Looks in a row at which a worker is above the limit before it is replaced: what one request took may be free again. */
const aboveMax = 3;
/** How far above the limit a worker is killed: it grows faster than its successor starts. */
const killTimes = 1.5;
/** Between two replacements of one worker for its memory, or after one that failed: a worker that is above the limit as soon as it serves would be for ever replaced. */
const replacePauseMs = 60_000;
/** Versions of plugins that a worker has loaded and that do not serve any more, and the bytes of their code. */
const oldModulesMax = 100;
const oldModuleBytesMax = 16 * 1024 * 1024;

export interface GuardParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Null when workers share none: then there is one. */
  readonly memory: NodeMemory | null;
  readonly pool: Pick<WorkerPool, "processes" | "replace" | "takeBack">;
  usage(pid: number): Promise<ProcessUsage | null>;
  totals(): readonly FilterTotals[];
  live(): Snapshot | null;
  /** Runs a change while no reload runs. */
  change(other: OtherChange): void;
  /** The snapshot with the plugin's former version is live. */
  onRolledBack(snapshot: Snapshot, rollback: Rollback): void;
  /** Code that no worker will run again. */
  onForgotten(plugin: string, version: string): void;
}

export class PluginGuard {
  readonly #parts: GuardParts;
  readonly #versions: PluginVersions;
  readonly #errors = new ErrorWatch();
  readonly #usage: UsageWatch;
  /** By the worker's number: until then it is not replaced again. */
  readonly #pausedUntilMs = new Map<number, number>();
  /** Plugins whose rollback waits for its turn, or is under way. */
  readonly #pending = new Set<string>();
  #looking = false;
  #replacing = false;
  readonly #stop: () => void;

  constructor(parts: GuardParts) {
    this.#parts = parts;
    this.#versions = new PluginVersions(parts.onForgotten);
    this.#usage = new UsageWatch(parts.usage);
    this.#stop = parts.clock.every(lookPeriodMs, () => this.#look());
  }

  close(): void {
    this.#stop();
  }

  /** Those that every worker serves. */
  get rollbacks(): readonly Rollback[] {
    return this.#versions.rollbacks.filter(({ plugin }) => !this.#pending.has(plugin));
  }

  /** A config as it may run: without the versions that are held off. */
  settle(checked: Snapshot): Snapshot {
    return this.#versions.settle(checked);
  }

  /** `checked` is what was settled; it is live now. */
  applied(checked: Snapshot): void {
    if (this.#versions.live(checked, this.#parts.clock.now()).length === 0) return;
    this.#lookAtUsage(checked).then(() => this.#usage.changed());
  }

  #lookAtUsage({ workerMemoryBytes }: Snapshot): Promise<void> {
    const pids = this.#parts.pool.processes.map(({ process }) => process.pid);
    return this.#usage.look(pids, workerMemoryBytes, this.#parts.clock.now());
  }

  /** A worker that gives no sign of life, before it is killed. */
  silent(process: WorkerProcess): void {
    const { clock, memory } = this.#parts;
    const entered = memory?.filterOf(process.seat, this.#versions.known) ?? null;
    const busyShare = this.#usage.busyShare(process.pid, process.lastHeardMs);
    const suspect = whoHangs(this.#versions.serving, { entered, busyShare }, clock.now());
    if (suspect === null) return;
    const silentMs = Math.round(clock.now() - process.lastHeardMs);
    const seen = `a worker gave no sign of life for ${(silentMs / 1000).toFixed(1)} s: ${suspect.because}`;
    this.#accuse(suspect, "hang", seen);
  }

  async #look(): Promise<void> {
    const live = this.#parts.live();
    if (live === null || this.#looking) return;
    this.#looking = true;
    try {
      const { clock, totals, pool } = this.#parts;
      for (const { plugin, why } of this.#errors.check(this.#versions.serving, totals(), clock.now()))
        this.#rollBack(plugin, "errors", why);
      await this.#lookAtUsage(live);
      for (const one of pool.processes) this.#checkMemory(one, live);
      for (const one of pool.processes) this.#checkModules(one, live);
    } finally {
      this.#looking = false;
    }
  }

  #checkMemory(one: PoolProcess, { workerMemoryBytes: limitBytes }: Snapshot): void {
    const memory = this.#usage.memoryOf(one.process.pid);
    if (memory === null || memory.above === 0) return;
    const { residentBytes, baseBytes } = memory;
    const killed = residentBytes > killTimes * limitBytes;
    if (!killed && (memory.above < aboveMax || one.state !== "serving" || !this.#mayReplace(one))) return;
    const what = `worker ${one.number} has ${inMebibytes(residentBytes)}, wanted at most ${inMebibytes(limitBytes)} (limits.workerMemory)`;
    const facts = { worker: one.number, workerPid: one.process.pid, residentBytes, limitBytes };
    this.#parts.log.error(`${what}: it is ${killed ? "killed" : "replaced"}`, facts);
    const suspect = whoGrows(this.#versions.serving, { ...memory, limitBytes }, this.#parts.clock.now());
    if (suspect !== null) {
      const grown = `a worker grew from ${inMebibytes(baseBytes)} to ${inMebibytes(residentBytes)}`;
      this.#accuse(suspect, "memory", `${grown}: ${suspect.because}`);
    }
    if (killed) one.process.kill();
    else this.#replace(one.number, "pause");
  }

  /** What a worker loaded once stays in its memory: docs/decisions/plugin-reloads.md. */
  #checkModules({ process, number, state }: PoolProcess, { plugins }: Snapshot): void {
    const { count, bytes } = process.modules;
    if (count - plugins.length <= oldModulesMax && bytes <= oldModuleBytesMax) return;
    const now = plugins.reduce(
      (sum, { source }) => sum + (source.kind === "bundle" ? source.text.length : 0),
      0,
    );
    if (count - plugins.length <= oldModulesMax && bytes - now <= oldModuleBytesMax) return;
    if (state !== "serving" || !this.#mayReplace({ number })) return;
    const facts = { worker: number, workerPid: process.pid, modules: count, bytes };
    const text = `worker ${number} has loaded ${count} versions of plugins (${inMebibytes(bytes)}); it is replaced to free them`;
    this.#parts.log.info(text, facts);
    this.#replace(number, "again at once");
  }

  #mayReplace({ number }: { readonly number: number }): boolean {
    const untilMs = this.#pausedUntilMs.get(number) ?? Number.NEGATIVE_INFINITY;
    return !this.#replacing && this.#parts.clock.now() >= untilMs;
  }

  /** `then` is what holds after one that serves; after one that does not there is always a pause. */
  async #replace(number: number, then: "pause" | "again at once"): Promise<void> {
    this.#replacing = true;
    const problem = await this.#parts.pool.replace(number);
    this.#replacing = false;
    if (problem === null && then === "again at once") return;
    this.#pausedUntilMs.set(number, this.#parts.clock.now() + replacePauseMs);
  }

  #accuse(suspect: Suspect, cause: RollbackCause, seen: string): void {
    const { name, version, certainty } = suspect;
    if (certainty === "enough") this.#rollBack({ name, version }, cause, seen);
    else
      this.#parts.log.warn(`the plugin ${name} may be the cause: ${seen}`, { plugin: name, version, cause });
  }

  #rollBack(plugin: Pick<Suspect, "name" | "version">, cause: RollbackCause, why: string): void {
    const { name, version } = plugin;
    if (this.#pending.has(name)) return;
    this.#pending.add(name);
    this.#parts.change(async (next) => {
      try {
        const serving = this.#versions.serving.find((one) => one.name === name);
        // It was changed, or taken back, while this waited.
        if (serving?.version !== version) return "unchanged";
        return await this.#takeBack({ plugin: name, cause, why }, next);
      } finally {
        this.#pending.delete(name);
      }
    });
  }

  async #takeBack(
    accusation: Pick<Rollback, "plugin" | "cause" | "why">,
    version: number,
  ): Promise<"live" | "unchanged"> {
    const { clock, log, pool } = this.#parts;
    const { plugin, cause, why } = accusation;
    const live = this.#parts.live();
    if (live === null) return "unchanged";
    const times = { nowMs: clock.now(), sinceEpochMs: clock.epochMs() };
    const change = this.#versions.rollBack(live, { ...accusation, ...times });
    if (change === null) {
      log.error(
        `the plugin ${plugin} did harm (${why}); it serves on, no earlier version is there: mend and save it`,
        {
          plugin,
          cause,
        },
      );
      return "unchanged";
    }
    const snapshot = { ...change.snapshot, version };
    const problems = await pool.takeBack(snapshot);
    if (problems !== null) {
      change.undo();
      log.error(
        `the plugin ${plugin} did harm (${why}) but serves on: its earlier version refuses the config`,
        {
          plugin,
          cause,
          problems: problems.map(problemText).join("; "),
        },
      );
      return "unchanged";
    }
    const { heldOff, serves } = change.rollback;
    log.error(rollbackText(change.rollback), { plugin, cause, heldOff, serves, version });
    this.#parts.onRolledBack(snapshot, change.rollback);
    return "live";
  }
}

/** For the log, and for `/problems`. */
export function rollbackText({ plugin, why, heldOff, serves }: Rollback): string {
  return `the plugin ${plugin} is rolled back: ${why}; its version ${heldOff} is held off until it is saved again, version ${serves} serves`;
}

/** Rounded to whole MiB. */
function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function problemText({ place, message }: ApplyProblem): string {
  return `${place.file}:${place.line}: ${message}`;
}
