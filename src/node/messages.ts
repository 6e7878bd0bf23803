/** What the supervisor and a worker say to each other; plain data. */
import type { RuntimeReport } from "../runtime/report.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Snapshot } from "../snapshot.ts";
import type { MeterDelta } from "../telemetry/index.ts";

/** What the supervisor may ask, and what a worker answers. */
export interface Questions {
  apply: { ask: Snapshot; answer: ApplyResult };
  measure: { ask: null; answer: MeterDelta };
  report: { ask: null; answer: RuntimeReport };
  /** The worker ends after its answer; the measurements are its last. */
  drain: {
    ask: { readonly timeoutMs: number };
    answer: { readonly forced: number; readonly measured: MeterDelta };
  };
}

export type QuestionKind = keyof Questions;

export type SupervisorMessage = {
  [Kind in QuestionKind]: { readonly kind: Kind; readonly id: number; readonly ask: Questions[Kind]["ask"] };
}[QuestionKind];

export type WorkerMessage =
  | { readonly kind: "answer"; readonly id: number; readonly answer: Questions[QuestionKind]["answer"] }
  /** Once a second: alive, and what was measured since. */
  | { readonly kind: "beat"; readonly measured: MeterDelta };

export const beatPeriodMs = 1000;
