/** One worker, as its supervisor sees it. Loads nothing else, so that a worker is started before anything heavy is. */
import type { ApplyResult } from "../runtime/runtime.ts";
import type { Snapshot } from "../snapshot.ts";
import type { ChildProcess, Clock, ProcessEnd, Processes } from "../types.ts";
import type { Answer, Beat, Question, QuestionKind, Questions } from "./messages.ts";
import { cutSnapshot } from "./parts.ts";

/** Questions that wait for their answers; a further one is answered with null. */
const pendingMax = 256;

/** Longer than any worker may be silent. */
const beatWaitMs = 60_000;

/** The verb of the program under which a worker starts. */
export const workerVerb = "worker";

export class WorkerProcess {
  /** Set by its owner. */
  onBeat: (beat: Beat) => void = () => {};
  lastHeardMs: number;
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #pending = new Map<number, { kind: QuestionKind; settle: (answer: unknown) => void }>();
  #lastId = 0;
  #beating = false;

  constructor(processes: Processes, clock: Clock, nodeId: string) {
    this.#clock = clock;
    this.lastHeardMs = clock.now();
    this.#child = processes.start([workerVerb, nodeId], (message) => this.#receive(message as Answer));
    this.pid = this.#child.pid;
    this.ended = this.#child.ended;
    this.ended.then(() => this.#settleAll());
  }

  /** Null when there is no answer in time, or never will be. */
  ask<Kind extends QuestionKind>(
    kind: Kind,
    ask: Questions[Kind]["ask"],
    waitMs: number,
  ): Promise<Questions[Kind]["answer"] | null> {
    return new Promise((resolve) => {
      this.#lastId += 1;
      const id = this.#lastId;
      const message = { kind, id, ask } as Question;
      if (this.#pending.size === pendingMax || !this.#child.send(message)) {
        resolve(null);
        return;
      }
      const settle = (answer: unknown) => {
        cancel();
        this.#pending.delete(id);
        resolve(answer as Questions[Kind]["answer"] | null);
      };
      const cancel = this.#clock.after(waitMs, () => settle(null));
      this.#pending.set(id, { kind, settle });
    });
  }

  /** Makes a snapshot live. Each part of a large one waits for the worker to have read the one before. */
  async apply(snapshot: Snapshot, waitMs: number): Promise<ApplyResult | null> {
    const { parts, rest } = cutSnapshot(snapshot);
    for (const part of parts) if ((await this.ask("part", part, waitMs)) === null) return null;
    return this.ask("apply", rest, waitMs);
  }

  /** Asks for a sign of life, one at a time. */
  async beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    await this.ask("measure", null, beatWaitMs);
    this.#beating = false;
  }

  /** Whether it may be silent for longer than usual: compiling a large configuration takes its time. */
  get applying(): boolean {
    for (const { kind } of this.#pending.values()) if (kind === "apply" || kind === "part") return true;
    return false;
  }

  kill(): void {
    this.#child.kill();
  }

  #receive({ kind, id, answer }: Answer): void {
    this.lastHeardMs = this.#clock.now();
    // Also when nobody waits for it any more: what was measured comes only once.
    if (kind === "measure") this.onBeat(answer);
    this.#pending.get(id)?.settle(answer);
  }

  #settleAll(): void {
    for (const { settle } of [...this.#pending.values()]) settle(null);
  }
}
