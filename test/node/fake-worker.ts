/** Worker processes that answer when a test says so. */

import type { ProcessEnd, Processes } from "../../src/machine.ts";
import type { Answer, Beat, Question } from "../../src/node/messages.ts";
import type { PoolParts } from "../../src/node/worker-pool.ts";
import { type WorkerPlace, WorkerProcess } from "../../src/node/worker-process.ts";
import type { SlotParts } from "../../src/node/worker-slot.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import type { MeterDelta } from "../../src/telemetry/index.ts";
import type { LogFields } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";

export class FakeChild {
  readonly questions: Question[] = [];
  readonly #ended = Promise.withResolvers<ProcessEnd>();
  readonly ended = this.#ended.promise;
  readonly #receive: (message: unknown) => void;
  alive = true;

  constructor(
    readonly pid: number,
    readonly args: readonly string[],
    receive: (message: unknown) => void,
  ) {
    this.#receive = receive;
  }

  send(message: unknown): boolean {
    if (this.alive) this.questions.push(message as Question);
    return this.alive;
  }

  kill(): void {
    this.end({ code: null, signal: "SIGKILL" });
  }

  end(end: ProcessEnd): void {
    this.alive = false;
    this.#ended.resolve(end);
  }

  /** What it was asked and has not answered. */
  get kinds(): string[] {
    return this.questions.map(({ kind }) => kind);
  }

  asked(kind: Question["kind"]): unknown {
    return this.questions.find((question) => question.kind === kind)?.ask;
  }

  async answer(kind: Question["kind"], answer: unknown): Promise<void> {
    const at = this.questions.findIndex((question) => question.kind === kind);
    const [question] = this.questions.splice(at, 1);
    this.#receive({ kind, id: question!.id, answer } as Answer);
    await turn();
  }

  accept(): Promise<void> {
    return this.answer("apply", { ok: true, held: { longestMs: 1, totalMs: 2 } });
  }

  refuse(message = "no"): Promise<void> {
    return this.answer("apply", { ok: false, problems: [{ place: { file: "a.yaml", line: 1 }, message }] });
  }
}

/** Lets everything that can happen happen. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function snapshot(version: number, unixPath?: string): Snapshot {
  const tcp = { name: "web", bind: { host: "127.0.0.1", port: 80 }, routes: [] };
  const unix = { name: "local", bind: { unixPath }, routes: [] };
  const listeners = unixPath === undefined ? [tcp] : [tcp, unix];
  return { version, drainMs: 5000, listeners, services: [], plugins: [] } as unknown as Snapshot;
}

export const measured = { counters: [1, 2] } as unknown as MeterDelta;
export const beat: Beat = { measured, ejections: [] };

/** What slots and pools are made of, and what they told. */
export function fakeParts() {
  const clock = new VirtualClock();
  const children: FakeChild[] = [];
  const told: unknown[] = [];
  const said: string[] = [];
  const processes = {
    start(args: readonly string[], receive: (message: unknown) => void) {
      const child = new FakeChild(children.length + 1, args, receive);
      children.push(child);
      return child;
    },
  } as unknown as Processes;
  const start = (place: WorkerPlace) =>
    new WorkerProcess({ processes, clock, nodeId: "node", memory: null }, place);
  const say = (message: string, _fields?: LogFields) => void said.push(message);
  const parts: Omit<SlotParts, "states" | "command"> & Pick<PoolParts, "find"> = {
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    start,
    onMeasured: (process, delta) => void told.push([process.pid, delta]),
    onEjections: (process, ejections) => void told.push([process.pid, ejections]),
    onWanted: (service) => void told.push(["wanted", service]),
    find: async () => [],
    onSilent: (process) => void told.push([process.pid, "silent"]),
    onEnded: (process) => {
      told.push([process.pid, "ended"]);
      return 2;
    },
  };
  return { clock, children, told, said, start, parts };
}
