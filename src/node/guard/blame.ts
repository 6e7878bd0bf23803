/** Whose doing it is: as far as it can be known of a process that says nothing any more, or that only grows. */
import { trialMs } from "./error-watch.ts";
import type { ServingPlugin } from "./plugin-versions.ts";

export interface Suspect {
  readonly name: string;
  readonly version: string;
  /** Why it is suspected. */
  readonly because: string;
  /** Whether that is enough to take it back. */
  readonly certainty: "enough" | "too little";
}

/** What the node's memory says of the process. */
export interface Entered {
  readonly code: { readonly name: string; readonly version: string };
  readonly state: "running" | "left";
}

/** Below it a process that is silent does not loop: it is stopped, or waits. */
const busyShareMin = 0.05;

/** `busyShare`: of the time in which the process was silent; null when nobody knows. */
export function whoHangs(
  plugins: readonly ServingPlugin[],
  process: { readonly entered: Entered | null; readonly busyShare: number | null },
  nowMs: number,
): Suspect | null {
  const { entered, busyShare } = process;
  if (entered?.state === "running") {
    return { ...entered.code, because: "it was running", certainty: "enough" };
  }
  if (busyShare !== null && busyShare < busyShareMin) return null;
  const changed = changedLately(plugins, nowMs);
  const last = changed.find(
    ({ name, version }) => name === entered?.code.name && version === entered.code.version,
  );
  if (last !== undefined) {
    return { ...named(last), because: "it ran last, and was changed lately", certainty: "enough" };
  }
  const [newest] = changed;
  if (newest !== undefined) return { ...named(newest), because: "it was changed last", certainty: "enough" };
  return entered === null
    ? null
    : { ...entered.code, because: "it ran last of all plugins", certainty: "too little" };
}

/** Of a worker whose memory grew from `baseBytes`, when a plugin was changed last. */
export function whoGrows(
  plugins: readonly ServingPlugin[],
  memory: { readonly residentBytes: number; readonly baseBytes: number; readonly limitBytes: number },
  nowMs: number,
): Suspect | null {
  const [newest] = changedLately(plugins, nowMs);
  if (newest === undefined) return null;
  const { residentBytes, baseBytes, limitBytes } = memory;
  const jumped = residentBytes - baseBytes > limitBytes / 2;
  const because = jumped ? "most of it came after it was changed" : "it was changed last";
  return { ...named(newest), because, certainty: jumped ? "enough" : "too little" };
}

/** Newest first. */
function changedLately(plugins: readonly ServingPlugin[], nowMs: number): ServingPlugin[] {
  return plugins
    .filter(({ sinceMs, changed }) => changed === "yes" && nowMs - sinceMs < trialMs)
    .sort((a, b) => b.sinceMs - a.sinceMs);
}

function named({ name, version }: ServingPlugin): { readonly name: string; readonly version: string } {
  return { name, version };
}
