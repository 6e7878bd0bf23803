/** Whether a plugin throws much more often since it was saved than the version before it did. */
import type { FilterTotals } from "../../telemetry/index.ts";
import type { ServingPlugin } from "./plugin-versions.ts";

const windowMs = 60_000;
const callsMin = 20;
const shareMin = 0.05;
const timesBefore = 5;
/** A version that did well for so long is not judged by what befalls it later. */
export const trialMs = 3_600_000;

export interface ErrorJump {
  readonly plugin: ServingPlugin;
  readonly why: string;
}

/** Since the node started. */
type Counts = Pick<FilterTotals, "calls" | "errors">;

interface Sample extends Counts {
  readonly atMs: number;
}

export class ErrorWatch {
  /** By plugin and version, oldest first: one a second, those of the window and the last one before it. */
  readonly #samples = new Map<string, Sample[]>();
  /** Of the second before: what a version had counted when it began to serve. */
  #totals: readonly FilterTotals[] = [];

  /** To be called once a second; `totals` are of all workers together. */
  check(plugins: readonly ServingPlugin[], totals: readonly FilterTotals[], nowMs: number): ErrorJump[] {
    const onTrial = plugins.filter(
      ({ changed, former, sinceMs }) => changed === "yes" && former !== null && nowMs - sinceMs < trialMs,
    );
    const keys = new Set(onTrial.map(keyOf));
    for (const key of this.#samples.keys()) if (!keys.has(key)) this.#samples.delete(key);
    const jumps = onTrial.flatMap((plugin) => {
      const samples = this.#samples.get(keyOf(plugin)) ?? [
        { atMs: nowMs, ...countsOf(plugin.name, plugin.version, this.#totals) },
      ];
      this.#samples.set(keyOf(plugin), samples);
      const now = { atMs: nowMs, ...countsOf(plugin.name, plugin.version, totals) };
      samples.push(now);
      while (samples[1]!.atMs <= nowMs - windowMs) samples.shift();
      const since = samples[0]!;
      const before = countsOf(plugin.name, plugin.former!, totals);
      const why = jump({ calls: now.calls - since.calls, errors: now.errors - since.errors }, before);
      return why === null ? [] : [{ plugin, why }];
    });
    this.#totals = totals;
    return jumps;
  }
}

function keyOf({ name, version }: Pick<ServingPlugin, "name" | "version">): string {
  return `${version} ${name}`;
}

function countsOf(name: string, version: string, totals: readonly FilterTotals[]): Counts {
  const found = totals.find((one) => one.filter === name && one.version === version);
  return { calls: found?.calls ?? 0, errors: found?.errors ?? 0 };
}

function jump(now: Counts, before: Counts): string | null {
  if (now.calls < callsMin) return null;
  const share = now.errors / now.calls;
  const shareBefore = before.errors / Math.max(1, before.calls);
  if (share < shareMin || share < timesBefore * shareBefore) return null;
  const seen = `${now.errors} of ${now.calls} calls threw within ${windowMs / 1000} s`;
  return `${seen}, of the version before ${before.errors} of ${before.calls}`;
}
