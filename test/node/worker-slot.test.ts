import { expect, test } from "bun:test";
import type { Answer, Beat, Question } from "../../src/node/messages.ts";
import { WorkerProcess } from "../../src/node/worker-process.ts";
import { WorkerSlot } from "../../src/node/worker-slot.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import type { MeterDelta } from "../../src/telemetry/index.ts";
import type { ProcessEnd, Processes } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";

/** The other end of a channel, which answers when a test says so. */
class FakeChild {
  readonly questions: Question[] = [];
  readonly #ended = Promise.withResolvers<ProcessEnd>();
  readonly ended = this.#ended.promise;
  readonly #receive: (message: unknown) => void;
  alive = true;

  constructor(
    readonly pid: number,
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

  answer(kind: Question["kind"], answer: unknown): void {
    const at = this.questions.findIndex((question) => question.kind === kind);
    const [question] = this.questions.splice(at, 1);
    this.#receive({ kind, id: question!.id, answer } as Answer);
  }
}

function bench() {
  const clock = new VirtualClock();
  const children: FakeChild[] = [];
  const measured: unknown[] = [];
  const said: string[] = [];
  const processes = {
    start(_args: readonly string[], receive: (message: unknown) => void) {
      const child = new FakeChild(children.length + 1, receive);
      children.push(child);
      return child;
    },
  } as unknown as Processes;
  const start = () => new WorkerProcess(processes, clock, "node");
  const say = (message: string) => void said.push(message);
  const slot = new WorkerSlot(
    {
      clock,
      log: { debug: say, info: say, warn: say, error: say },
      start,
      clearAfterDeath: async () => {},
      onMeasured: (process, delta) => void measured.push([process.pid, delta]),
      onEjections: () => {},
      onEnded: (process) => void measured.push([process.pid, "ended"]),
    },
    start(),
  );
  return { clock, children, measured, said, slot };
}

const held = { longestMs: 1, totalMs: 2 };

function snapshot(version: number): Snapshot {
  return { version, listeners: [], services: [] } as unknown as Snapshot;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function serving(version: number) {
  const all = bench();
  const applied = all.slot.apply(snapshot(version));
  await turn();
  all.children[0]!.answer("apply", { ok: true, held });
  await applied;
  return all;
}

const delta = { counters: [1, 2] } as unknown as MeterDelta;
const beat: Beat = { measured: delta, ejections: [] };

test("WorkerSlot serves what its worker accepted", async () => {
  const { slot } = await serving(1);
  expect(slot.status).toEqual({ pid: 1, state: "serving", version: 1 });
});

test("WorkerSlot keeps the old version when the worker refuses", async () => {
  const { slot, children } = await serving(1);
  const applied = slot.apply(snapshot(2));
  await turn();
  children[0]!.answer("apply", { ok: false, problems: [] });
  expect(await applied).toEqual({ ok: false, problems: [] });
  expect(slot.status).toEqual({ pid: 1, state: "serving", version: 1 });
});

test("WorkerSlot restarts a worker that died, with the current snapshot, later and later", async () => {
  const { slot, clock, children } = await serving(1);
  for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
    children.at(-1)!.end({ code: 3, signal: null });
    await turn();
    expect(slot.status.state).toBe("restarting");
    const before = children.length;
    clock.advance(pauseMs - 1);
    expect(children.length).toBe(before);
    clock.advance(1);
    await turn();
    expect(children.length).toBe(before + 1);
    children.at(-1)!.answer("apply", { ok: true, held });
    await turn();
    expect(slot.status).toMatchObject({ state: "serving", version: 1 });
  }
});

test("WorkerSlot restarts a worker that had lived long at once", async () => {
  const { clock, children } = await serving(1);
  for (let second = 0; second < 10; second += 1) {
    clock.advance(1000);
    children[0]!.answer("measure", beat);
    await turn();
  }
  children[0]!.end({ code: 3, signal: null });
  await turn();
  clock.advance(0);
  expect(children.length).toBe(2);
});

test("WorkerSlot never lets an old snapshot overtake a new one", async () => {
  const { slot, clock, children } = await serving(1);
  children[0]!.end({ code: 3, signal: null });
  await turn();
  clock.advance(100);
  const applied = slot.apply(snapshot(2));
  await turn();
  const versions = () => children[1]!.questions.map(({ ask }) => (ask as Snapshot).version);
  expect(versions()).toEqual([1]);
  children[1]!.answer("apply", { ok: true, held });
  await turn();
  expect(versions()).toEqual([2]);
  children[1]!.answer("apply", { ok: true, held });
  expect(await applied).toEqual({ ok: true, held });
  expect(slot.status.version).toBe(2);
});

test("WorkerSlot starts a worker for a new snapshot without waiting, and gives it the old one when it refuses", async () => {
  const { slot, children } = await serving(1);
  children[0]!.end({ code: 3, signal: null });
  await turn();
  const applied = slot.apply(snapshot(2));
  await turn();
  children[1]!.answer("apply", { ok: false, problems: [] });
  await turn();
  expect(children[1]!.questions[0]!.ask).toEqual(snapshot(1));
  children[1]!.answer("apply", { ok: true, held });
  expect((await applied)?.ok).toBe(false);
  expect(slot.status.version).toBe(1);
});

test("WorkerSlot replaces a worker that is silent for 3 seconds, and not one that answers", async () => {
  const { clock, children, said } = await serving(1);
  clock.advance(1000);
  children[0]!.answer("measure", beat);
  await turn();
  clock.advance(3000);
  expect(children[0]!.alive).toBe(true);
  clock.advance(1000);
  expect(children[0]!.alive).toBe(false);
  expect(said).toEqual(["the worker's heartbeat stopped"]);
});

test("WorkerSlot lets a worker that compiles be silent for 30 seconds", async () => {
  const { slot, clock, children } = await serving(1);
  const applied = slot.apply(snapshot(2));
  await turn();
  clock.advance(29_000);
  expect(children[0]!.alive).toBe(true);
  clock.advance(2000);
  expect(children[0]!.alive).toBe(false);
  expect(await applied).toBeNull();
});

test("WorkerSlot asks for one sign of life at a time", async () => {
  const { clock, children } = await serving(1);
  clock.advance(2500);
  expect(children[0]!.questions.map(({ kind }) => kind)).toEqual(["measure"]);
});

test("WorkerSlot counts what a late answer measured, and nothing after the worker's end", async () => {
  const { slot, clock, children, measured } = await serving(1);
  const waited = slot.measure();
  clock.advance(1000);
  await waited;
  children[0]!.answer("measure", beat);
  expect(measured).toEqual([[1, delta]]);
  const [question] = children[0]!.questions;
  expect(question?.kind).toBe("measure");
  children[0]!.end({ code: 0, signal: null });
  await turn();
  children[0]!.questions.push(question!);
  children[0]!.answer("measure", beat);
  expect(measured).toEqual([
    [1, delta],
    [1, "ended"],
  ]);
});

test("WorkerSlot drains: the last measurements count, and the worker is not replaced", async () => {
  const { slot, clock, children, measured } = await serving(1);
  const drained = slot.drain(5000);
  await turn();
  children[0]!.answer("drain", { forced: 2, measured: delta });
  expect(await drained).toEqual({ forced: 2 });
  expect(measured).toContainEqual([1, delta]);
  clock.advance(10_000);
  expect(children.length).toBe(1);
});

test("WorkerSlot ends a worker that does not drain in time", async () => {
  const { slot, clock, children } = await serving(1);
  const drained = slot.drain(5000);
  clock.advance(7000);
  expect(await drained).toEqual({ forced: 0 });
  expect(children[0]!.alive).toBe(false);
});
