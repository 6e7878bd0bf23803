import { describe, expect, test } from "bun:test";
import { WorkerSlot } from "../../src/node/worker-slot.ts";
import type { ServiceState, Snapshot } from "../../src/snapshot.ts";
import { beat, type FakeChild, fakeParts, measured, snapshot, turn } from "./fake-worker.ts";

const exit = { code: 3, signal: null };

function bench(states: readonly ServiceState[] = []) {
  const fake = fakeParts();
  const first = fake.start({ number: 2, seat: 1 });
  const parts = { ...fake.parts, states: () => states, command: () => null };
  const slot = new WorkerSlot(parts, { number: 2, seats: [1, 65] }, first);
  const status = () => ({
    pid: slot.process?.pid ?? null,
    state: slot.state,
    version: slot.process?.version ?? null,
  });
  return { ...fake, slot, status };
}

async function serving(version: number, states: readonly ServiceState[] = []) {
  const all = bench(states);
  const applied = all.slot.apply(snapshot(version));
  await turn();
  await all.children[0]!.accept();
  await applied;
  return all;
}

async function ends(child: FakeChild): Promise<void> {
  child.end(exit);
  await turn();
}

function versions(child: FakeChild): number[] {
  return child.questions.filter(({ kind }) => kind === "apply").map(({ ask }) => (ask as Snapshot).version);
}

test("WorkerSlot serves what its worker accepted", async () => {
  const { status, children } = await serving(1);
  expect(status()).toEqual({ pid: 1, state: "serving", version: 1 });
  expect(children[0]!.args).toEqual(["worker", "node", "2", "1"]);
});

test("WorkerSlot keeps the old version when the worker refuses", async () => {
  const { slot, status, children } = await serving(1);
  const applied = slot.apply(snapshot(2));
  await turn();
  await children[0]!.refuse();
  expect((await applied)?.ok).toBe(false);
  expect(status()).toEqual({ pid: 1, state: "serving", version: 1 });
});

test("WorkerSlot goes back to an older snapshot, and restarts with that one", async () => {
  const { slot, clock, status, children } = await serving(1);
  const applied = slot.apply(snapshot(2));
  await turn();
  await children[0]!.accept();
  await applied;
  const reverted = slot.revert(snapshot(1));
  await turn();
  await children[0]!.accept();
  await reverted;
  expect(status()).toEqual({ pid: 1, state: "serving", version: 1 });
  await ends(children[0]!);
  clock.advance(100);
  await turn();
  expect(versions(children[1]!)).toEqual([1]);
});

describe("WorkerSlot restarts", () => {
  test("a worker that died, with the current snapshot, later and later", async () => {
    const { status, clock, children, said } = await serving(1);
    for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
      await ends(children.at(-1)!);
      expect(status()).toEqual({ pid: null, state: "restarting", version: null });
      const before = children.length;
      clock.advance(pauseMs - 1);
      expect(children.length).toBe(before);
      clock.advance(1);
      await turn();
      expect(children.length).toBe(before + 1);
      await children.at(-1)!.accept();
      expect(status()).toMatchObject({ state: "serving", version: 1 });
    }
    expect(said.slice(0, 2)).toEqual([
      "worker 2 ended (exit code 3): 2 connections lost",
      "worker 2 serves again after 100 ms",
    ]);
  });

  test("a worker that had lived long at once", async () => {
    const { clock, children } = await serving(1);
    clock.advance(2000);
    await ends(children[0]!);
    clock.advance(0);
    expect(children.length).toBe(2);
  });

  test("and never lets an old snapshot overtake a new one", async () => {
    const { slot, status, clock, children } = await serving(1);
    await ends(children[0]!);
    clock.advance(100);
    const applied = slot.apply(snapshot(2));
    await turn();
    expect(versions(children[1]!)).toEqual([1]);
    await children[1]!.accept();
    expect(versions(children[1]!)).toEqual([2]);
    await children[1]!.accept();
    expect((await applied)?.ok).toBe(true);
    expect(status().version).toBe(2);
  });

  test("for a new snapshot without waiting, and gives it the old one when it refuses", async () => {
    const { slot, status, children } = await serving(1);
    await ends(children[0]!);
    const applied = slot.apply(snapshot(2));
    await turn();
    await children[1]!.refuse();
    expect(versions(children[1]!)).toEqual([1]);
    await children[1]!.accept();
    expect((await applied)?.ok).toBe(false);
    expect(status().version).toBe(1);
  });
});

describe("WorkerSlot's heartbeat", () => {
  test("ends a worker that is silent for 2 to 3 seconds, and not one that answers", async () => {
    const { clock, children, said } = await serving(1);
    clock.advance(1000);
    await children[0]!.answer("measure", beat);
    clock.advance(2000);
    expect(children[0]!.alive).toBe(true);
    clock.advance(1000);
    expect(children[0]!.alive).toBe(false);
    expect(said).toEqual(["worker 2 gives no sign of life; it is killed"]);
  });

  test("lets a worker that compiles be silent for 30 seconds", async () => {
    const { slot, clock, children } = await serving(1);
    const applied = slot.apply(snapshot(2));
    await turn();
    clock.advance(29_000);
    expect(children[0]!.alive).toBe(true);
    clock.advance(2000);
    expect(children[0]!.alive).toBe(false);
    expect(await applied).toBeNull();
  });

  test("asks for one sign of life at a time", async () => {
    const { clock, children } = await serving(1);
    clock.advance(2500);
    expect(children[0]!.kinds).toEqual(["measure"]);
  });

  test("brings what was measured and ejected, and nothing after the worker's end", async () => {
    const { clock, children, told } = await serving(1);
    clock.advance(1000);
    const ejections = [{ service: "app", endpoint: "10.0.0.1:80", untilEpochMs: 1 }];
    const [question] = children[0]!.questions;
    await children[0]!.answer("measure", { measured, ejections });
    expect(told).toEqual([
      [1, measured],
      [1, ejections],
    ]);
    await ends(children[0]!);
    children[0]!.questions.push(question!);
    await children[0]!.answer("measure", beat);
    expect(told.slice(2)).toEqual([[1, "ended"]]);
  });
});

describe("WorkerSlot.replace", () => {
  async function replacing(states: readonly ServiceState[] = []) {
    const all = await serving(1, states);
    const replaced = all.slot.replace();
    await turn();
    const [old, successor] = all.children as [FakeChild, FakeChild];
    return { ...all, replaced, old, successor };
  }

  test("lets the worker finish once its successor serves, which has a seat of its own", async () => {
    const { slot, status, replaced, old, successor, told } = await replacing();
    expect([old.kinds, successor.args.at(-1)]).toEqual([[], "65"]);
    await successor.accept();
    expect(await replaced).toBeNull();
    expect(status()).toEqual({ pid: 2, state: "serving", version: 1 });
    expect([slot.leaving?.pid, old.asked("drain")]).toEqual([1, { timeoutMs: 5000 }]);
    await old.answer("drain", { forced: 0, measured });
    expect([slot.leaving, old.alive, told.slice(-2)]).toEqual([
      null,
      false,
      [
        [1, measured],
        [1, "ended"],
      ],
    ]);
  });

  test("leaves the worker in its place when the successor refuses or ends", async () => {
    const { slot, status, replaced, successor, children, said } = await replacing();
    await successor.refuse("no port");
    expect([await replaced, successor.alive, said]).toEqual(["no port", false, []]);
    const again = slot.replace();
    await turn();
    await turn();
    await ends(children[2]!);
    expect(await again).toBe("it ended, or did not answer");
    expect(status()).toEqual({ pid: 1, state: "serving", version: 1 });
  });

  test("needs no restart when the worker ends before its successor serves", async () => {
    const { clock, status, replaced, old, successor, children } = await replacing();
    await ends(old);
    expect(status()).toEqual({ pid: null, state: "restarting", version: null });
    clock.advance(10_000);
    await successor.accept();
    expect(await replaced).toBeNull();
    expect([status(), children.length]).toEqual([{ pid: 2, state: "serving", version: 1 }, 2]);
  });

  test("restarts at once when both end", async () => {
    const { clock, status, old, successor, children } = await replacing();
    await ends(old);
    await ends(successor);
    clock.advance(0);
    await turn();
    await children[2]!.accept();
    expect(status()).toEqual({ pid: 3, state: "serving", version: 1 });
  });

  test("waits for the one before the worker to finish", async () => {
    const { slot, successor, children, old } = await replacing();
    await successor.accept();
    const again = slot.replace();
    await turn();
    expect(children.length).toBe(2);
    await old.answer("drain", { forced: 0, measured });
    await turn();
    await children[2]!.accept();
    expect([await again, children[2]!.args.at(-1)]).toEqual([null, "1"]);
  });

  test("is over when the node drains: the successor is ended", async () => {
    const { slot, old, successor } = await replacing();
    const drained = slot.drain(5000);
    await turn();
    expect(successor.alive).toBe(false);
    await old.answer("drain", { forced: 1, measured });
    expect(await drained).toEqual({ forced: 1 });
  });

  test("ends a leaving worker that does not finish in time, or gives no sign of life", async () => {
    const { slot, clock, successor, old, said } = await replacing();
    await successor.accept();
    clock.advance(1000);
    await successor.answer("measure", beat);
    clock.advance(1000);
    await successor.answer("measure", beat);
    clock.advance(1000);
    await turn();
    expect([old.alive, slot.leaving]).toEqual([false, null]);
    expect(said).toEqual([
      "worker 2 gives no sign of life; it is killed",
      "worker 2 ended (SIGKILL): 2 connections lost",
    ]);
  });

  test("tells the successor of the services before its first snapshot", async () => {
    const states = [{ service: "app" }] as unknown as ServiceState[];
    const { successor } = await replacing(states);
    expect(successor.kinds).toEqual(["services", "apply"]);
  });
});

test("WorkerSlot tells of services in order, the newest last, and skips what is old by then", async () => {
  const { slot, children } = await serving(1);
  const lists = ["a", "b", "c"].map((service) => [{ service }] as unknown as ServiceState[]);
  for (const list of lists) slot.updateServices(list);
  expect(children[0]!.asked("services")).toEqual(lists[0]);
  await children[0]!.answer("services", null);
  expect(children[0]!.asked("services")).toEqual(lists[2]);
  await children[0]!.answer("services", null);
  expect(children[0]!.kinds).toEqual([]);
});

describe("WorkerSlot.drain", () => {
  test("counts the last measurements, and the worker is not replaced", async () => {
    const { slot, clock, children, told, said } = await serving(1);
    const drained = slot.drain(5000);
    await turn();
    await children[0]!.answer("drain", { forced: 2, measured });
    expect(await drained).toEqual({ forced: 2 });
    expect(told).toContainEqual([1, measured]);
    expect(said).toEqual(["worker 2 reset 2 connections at the end of its drain"]);
    clock.advance(10_000);
    expect(children.length).toBe(1);
  });

  test("ends a worker that does not drain in time", async () => {
    const { slot, clock, children, said } = await serving(1);
    const drained = slot.drain(5000);
    for (let second = 0; second < 7; second += 1) {
      clock.advance(1000);
      await children[0]!.answer("measure", beat);
    }
    expect(await drained).toEqual({ forced: 0 });
    expect([children[0]!.alive, said]).toEqual([false, []]);
  });
});
