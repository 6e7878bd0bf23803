/** One worker, as its supervisor sees it. Loads nothing else, so that a worker is started before anything heavy is. */

import type { ChildProcess, Clock, ProcessEnd, Processes, SharedMemory } from "../machine.ts";
import { processesMax } from "../runtime/node-memory/index.ts";
import type { ApplyResult } from "../runtime/runtime.ts";
import type { ServiceState, Snapshot } from "../snapshot.ts";
import type { Answer, Beat, Question, QuestionKind, Questions, Wanted } from "./messages.ts";
import { cutSnapshot } from "./parts.ts";

/** Questions that wait for their answers; a further one is answered with null. */
const pendingMax = 256;

/** Longer than any worker may be silent. */
const silenceMaxMs = 60_000;

/** Each may have a successor at the same time. */
export const workersMax = processesMax / 2;

/** The verb of the program under which a worker starts; after it come the node's id, the worker's number and its seat. */
export const workerVerb = "worker";

export interface WorkerProcessParts {
  readonly processes: Processes;
  readonly clock: Clock;
  readonly nodeId: string;
  /** Null for the only worker of a node. */
  readonly memory: SharedMemory | null;
}

/** Which one of a node's workers. */
export interface WorkerPlace {
  /** 1, 2 …; that which takes the place of another has the same one. */
  readonly number: number;
  /** Where it counts in the node's memory: no other process has it at the same time. */
  readonly seat: number;
}

export class WorkerProcess {
  /** Set by its owner. */
  onBeat: (beat: Beat) => void = () => {};
  /** Set by its owner: a caller wants a service that the snapshot has not. */
  onWanted: (service: string) => void = () => {};
  lastHeardMs: number;
  readonly startedAtMs: number;
  readonly seat: number;
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #pending = new Map<number, { kind: QuestionKind; settle: (answer: unknown) => void }>();
  #lastId = 0;
  #beating = false;
  #version: number | null = null;
  #dismissed = false;
  /** To be sent when the worker took those before. */
  #states: readonly ServiceState[] | null = null;
  #sendingStates = false;
  /** Snapshots on their way that leave it no more time than usual. */
  #hurried = 0;
  /** Bytes of each version of a plugin that it was given: it never lets go of one. */
  readonly #modules = new Map<string, number>();

  constructor({ processes, clock, nodeId, memory }: WorkerProcessParts, { number, seat }: WorkerPlace) {
    this.#clock = clock;
    this.startedAtMs = clock.now();
    this.lastHeardMs = this.startedAtMs;
    this.seat = seat;
    const args = [workerVerb, nodeId, String(number), String(seat)];
    this.#child = processes.start(args, (message) => this.#receive(message as Answer | Wanted), memory);
    this.pid = this.#child.pid;
    this.ended = this.#child.ended;
    this.ended.then(() => this.#settleAll());
  }

  /** Of the snapshot that it serves. */
  get version(): number | null {
    return this.#version;
  }

  /** Whether its end was wanted. */
  get dismissed(): boolean {
    return this.#dismissed;
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

  /** Of the users' own filters, every version that it has loaded since it started. */
  get modules(): { readonly count: number; readonly bytes: number } {
    const bytes = [...this.#modules.values()].reduce((sum, one) => sum + one, 0);
    return { count: this.#modules.size, bytes };
  }

  /** Makes a snapshot live. Each part of a large one waits for the worker to have read the one before. */
  async apply(snapshot: Snapshot, waitMs: number): Promise<ApplyResult | null> {
    for (const { name, version, source } of snapshot.plugins) {
      this.#modules.set(`${version} ${name}`, source.kind === "bundle" ? source.text.length : 0);
    }
    const { parts, rest } = cutSnapshot(snapshot);
    for (const part of parts) if ((await this.ask("part", part, waitMs)) === null) return null;
    const result = await this.ask("apply", rest, waitMs);
    if (result?.ok === true) this.#version = snapshot.version;
    return result;
  }

  /** The newest states, and no older ones after them; at once, unless the worker is still taking others. */
  async updateServices(states: readonly ServiceState[]): Promise<void> {
    this.#states = states;
    if (this.#sendingStates) return;
    this.#sendingStates = true;
    while (this.#states !== null) {
      const next: readonly ServiceState[] = this.#states;
      this.#states = null;
      await this.ask("services", next, silenceMaxMs);
    }
    this.#sendingStates = false;
  }

  /** As `apply`, of one that serves already: it is not to be silent for longer than usual. */
  async applyAtOnce(snapshot: Snapshot, waitMs: number): Promise<ApplyResult | null> {
    this.#hurried += 1;
    try {
      return await this.apply(snapshot, waitMs);
    } finally {
      this.#hurried -= 1;
    }
  }

  /** Asks for a sign of life, one at a time. */
  async beat(): Promise<void> {
    if (this.#beating) return;
    this.#beating = true;
    await this.ask("measure", null, silenceMaxMs);
    this.#beating = false;
  }

  /** Whether it may be silent for longer than usual: compiling a large configuration takes its time. */
  get applying(): boolean {
    if (this.#hurried > 0) return false;
    for (const { kind } of this.#pending.values()) if (kind === "apply" || kind === "part") return true;
    return false;
  }

  kill(): void {
    this.#child.kill();
  }

  /** Ends it because it is not wanted any more. */
  dismiss(): void {
    this.#dismissed = true;
    this.kill();
  }

  #receive(message: Answer | Wanted): void {
    this.lastHeardMs = this.#clock.now();
    if (message.kind === "wanted") {
      this.onWanted(message.service);
      return;
    }
    const { kind, id, answer } = message;
    // Also when nobody waits for it any more: what was measured comes only once.
    if (kind === "measure") this.onBeat(answer);
    this.#pending.get(id)?.settle(answer);
  }

  #settleAll(): void {
    for (const { settle } of [...this.#pending.values()]) settle(null);
  }
}
