/** What a supervisor asks and a worker answers; plain data. A worker says hardly anything unasked, so nothing piles up. */
import type { Callers, LeavingStage } from "../runtime/leaving.ts";
import type { RuntimeReport } from "../runtime/report.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Ejection, ServiceState, Snapshot } from "../snapshot.ts";
import type { MeterDelta } from "../telemetry/index.ts";

export interface Questions {
  /** A part of the snapshot that the next `apply` brings the rest of, as JSON; answered with how many came so far. */
  part: { ask: string; answer: number };
  apply: { ask: Snapshot; answer: ApplyResult };
  /** What the node knows of its services: complete each time, and before the first snapshot. */
  services: { ask: readonly ServiceState[]; answer: null };
  /** Asked once a second, the answer is also the worker's heartbeat. */
  measure: { ask: null; answer: Beat };
  /** Services that some worker wanted, and that there are not. */
  missing: { ask: readonly string[]; answer: null };
  report: { ask: null; answer: RuntimeReport };
  /** The process that runs beside the node, and is to end with it; null when it has ended. */
  command: { ask: number | null; answer: null };
  /** Asked again and again while the callers of a listener are to go elsewhere. */
  leave: { ask: { readonly listener: string; readonly stage: LeavingStage }; answer: Callers };
  /** The last question: the answer comes when all is finished and written. */
  drain: {
    ask: { readonly timeoutMs: number };
    answer: { readonly forced: number; readonly measured: MeterDelta };
  };
}

/** What happened in a worker since its last beat. */
export interface Beat {
  readonly measured: MeterDelta;
  readonly ejections: readonly Ejection[];
}

export type QuestionKind = keyof Questions;

/** Distributes over the kinds, so that the kind tells what `ask` and `answer` are. */
type OfEachKind<Part extends "ask" | "answer"> = {
  [Kind in QuestionKind]: { readonly kind: Kind; readonly id: number } & {
    readonly [Name in Part]: Questions[Kind][Part];
  };
}[QuestionKind];

export type Question = OfEachKind<"ask">;
export type Answer = OfEachKind<"answer">;

/**
 * The one thing that a worker says unasked, for its caller waits: it wants a service of the mesh that the snapshot has
 * not. Of one name it says so at most every two seconds, and of so many at a time as requests may wait (HELD_MAX).
 */
export interface Wanted {
  readonly kind: "wanted";
  readonly service: string;
}
