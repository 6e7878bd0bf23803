/** What `/snapshot` shows: the live configuration with the live state beside it. */
import type { RuntimeReport } from "../runtime/runtime.ts";
import type { Snapshot } from "../snapshot.ts";
import type { RouteTotals } from "../telemetry/index.ts";
import type { Address } from "../types.ts";
import type { WorkerStatus } from "./worker-slot.ts";

export interface SnapshotSources {
  readonly node: string;
  /** The program's version. */
  readonly program: string;
  readonly file: string;
  readonly live: Snapshot | null;
  /** As bound. */
  readonly admin: Address | null;
  readonly workers: readonly (WorkerStatus & { readonly report: RuntimeReport | null })[];
  readonly totals: readonly RouteTotals[];
}

export function snapshotView({ live, workers, ...sources }: SnapshotSources): unknown {
  return {
    ...sources,
    version: live?.version ?? null,
    workers,
    listeners: live?.listeners,
    services: live?.services,
  };
}
