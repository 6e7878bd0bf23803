import { describe, expect, test } from "bun:test";
import { WorkerPool } from "../../src/node/worker-pool.ts";
import type { ServiceState, Snapshot } from "../../src/snapshot.ts";
import { beat, type FakeChild, fakeParts, measured, snapshot, turn } from "./fake-worker.ts";

function bench(count: number) {
  const fake = fakeParts();
  const first = Array.from({ length: count }, (_, seat) => fake.start({ number: seat + 1, seat }));
  return { ...fake, pool: new WorkerPool(fake.parts, first) };
}

async function serving(count: number, version = 1) {
  const all = bench(count);
  const applied = all.pool.apply(snapshot(version));
  for (const child of all.children) {
    await turn();
    await child.accept();
  }
  expect((await applied)?.ok).toBe(true);
  return all;
}

function versionsAsked(children: readonly FakeChild[]): (number | undefined)[] {
  return children.map((child) => (child.asked("apply") as Snapshot | undefined)?.version);
}

describe("WorkerPool.apply", () => {
  test("gives a snapshot to the first worker alone, then to the others at once", async () => {
    const { pool, children } = bench(3);
    const applied = pool.apply(snapshot(1));
    await turn();
    expect(versionsAsked(children)).toEqual([1, undefined, undefined]);
    await children[0]!.accept();
    await turn();
    expect(versionsAsked(children)).toEqual([undefined, 1, 1]);
    expect(pool.lacking(1)).toBe("worker 2 is starting and serves nothing, wanted version 1");
    await children[1]!.accept();
    await children[2]!.accept();
    expect([(await applied)?.ok, pool.lacking(1)]).toEqual([true, null]);
  });

  test("shows a snapshot that the first worker refuses to no other", async () => {
    const { pool, children } = await serving(3);
    const applied = pool.apply(snapshot(2));
    await turn();
    await children[0]!.refuse("no");
    expect(await applied).toEqual({
      ok: false,
      problems: [{ place: { file: "a.yaml", line: 1 }, message: "no" }],
    });
    expect([versionsAsked(children), pool.lacking(1)]).toEqual([[undefined, undefined, undefined], null]);
  });

  test("takes a snapshot back from all that had taken it when one refuses it, and says a problem once", async () => {
    const { pool, children } = await serving(4);
    const applied = pool.apply(snapshot(2));
    await turn();
    await children[0]!.accept();
    await turn();
    await children[1]!.accept();
    for (const child of children.slice(2)) await child.refuse("no");
    await turn();
    expect(versionsAsked(children)).toEqual([1, 1, undefined, undefined]);
    for (const child of children.slice(0, 2)) await child.accept();
    expect(await applied).toEqual({
      ok: false,
      problems: [{ place: { file: "a.yaml", line: 1 }, message: "no" }],
    });
    expect(pool.lacking(1)).toBeNull();
  });

  test("takes a snapshot back when a worker ends over it, which restarts with the old one", async () => {
    const { pool, children, clock } = await serving(2);
    const applied = pool.apply(snapshot(2));
    await turn();
    await children[0]!.accept();
    await turn();
    children[1]!.end({ code: 1, signal: null });
    await turn();
    await children[0]!.accept();
    expect(await applied).toBeNull();
    clock.advance(100);
    await turn();
    expect(versionsAsked(children.slice(2))).toEqual([1]);
    await children[2]!.accept();
    expect(pool.lacking(1)).toBeNull();
  });

  test("leaves unix listeners to the first worker", async () => {
    const { pool, children } = bench(3);
    pool.apply(snapshot(1, "/run/clearway.sock"));
    await turn();
    const names = ({ listeners }: Snapshot) => listeners.map(({ name }) => name);
    expect(names(children[0]!.asked("apply") as Snapshot)).toEqual(["web", "local"]);
    await children[0]!.accept();
    await turn();
    for (const child of children.slice(1)) expect(names(child.asked("apply") as Snapshot)).toEqual(["web"]);
  });
});

describe("WorkerPool.takeBack", () => {
  test("gives the snapshot to all workers at once, also one that was killed meanwhile", async () => {
    const { pool, children } = await serving(2);
    const taken = pool.takeBack(snapshot(2));
    await turn();
    expect(versionsAsked(children)).toEqual([2, 2]);
    await children[0]!.accept();
    children[1]!.kill();
    await turn();
    expect(versionsAsked(children.slice(2))).toEqual([2]);
    await children[2]!.accept();
    expect([await taken, pool.lacking(2)]).toEqual([null, null]);
  });

  test("is not refused by a worker that ends over it again and again: it begins with it when it lives", async () => {
    const { pool, children, clock } = await serving(1);
    const taken = pool.takeBack(snapshot(2));
    for (let end = 0; end < 3; end++) {
      await turn();
      children.at(-1)!.kill();
    }
    expect(await taken).toBeNull();
    clock.advance(5000);
    await turn();
    expect([children.length, versionsAsked(children.slice(3))]).toEqual([4, [2]]);
  });

  test("leaves no worker with a snapshot that one of them refuses, a restarted one neither", async () => {
    const { pool, children } = await serving(2);
    const taken = pool.takeBack(snapshot(2));
    children[0]!.kill();
    await turn();
    await children[1]!.accept();
    await children[2]!.refuse("no");
    await turn();
    expect(versionsAsked(children.slice(1))).toEqual([1, 1]);
    for (const child of children.slice(1)) await child.accept();
    expect(await taken).toEqual([{ place: { file: "a.yaml", line: 1 }, message: "no" }]);
    expect(pool.lacking(1)).toBeNull();
  });

  test("does not give a worker that hangs the time that a new configuration has", async () => {
    const { pool, children, clock, told } = await serving(1);
    pool.takeBack(snapshot(2));
    await turn();
    clock.advance(4000);
    await turn();
    expect(told).toContainEqual([1, "silent"]);
    expect(versionsAsked(children)).toEqual([2, 2]);
  });
});

describe("WorkerPool.replaceAll", () => {
  test("gives every worker a successor, one after the other", async () => {
    const { pool, children, said } = await serving(2);
    const replaced = pool.replaceAll();
    expect(pool.replaceAll()).toBe(replaced);
    await turn();
    await turn();
    expect(versionsAsked(children)).toEqual([undefined, undefined, 1]);
    await children[2]!.accept();
    await turn();
    await turn();
    expect(pool.status.map(({ number, pid, state }) => [number, pid, state])).toEqual([
      [1, 3, "serving"],
      [1, 1, "leaving"],
      [2, 2, "serving"],
    ]);
    expect(pool.lacking(1)).toBeNull();
    await children[3]!.accept();
    await replaced;
    for (const child of children.slice(0, 2)) await child.answer("drain", { forced: 0, measured });
    expect(pool.status.map(({ pid }) => pid)).toEqual([3, 4]);
    expect(said).toEqual([
      "the workers are replaced, one after the other",
      "worker 1 is replaced",
      "worker 2 is replaced",
      "all workers are replaced",
    ]);
  });

  test("stops at the first successor that fails", async () => {
    const { pool, children, said } = await serving(2);
    const replaced = pool.replaceAll();
    await turn();
    await turn();
    await children[2]!.refuse();
    await replaced;
    expect([children.length, said.at(-1)]).toEqual([3, "worker 1 is not replaced, its successor failed"]);
    expect(pool.status.map(({ pid, state }) => [pid, state])).toEqual([
      [1, "serving"],
      [2, "serving"],
    ]);
  });
});

test("WorkerPool tells every worker of the services, and one that is new before its first snapshot", async () => {
  const { pool, children, clock } = await serving(2);
  const states = [{ service: "app" }] as unknown as ServiceState[];
  pool.updateServices(states);
  expect(children.map((child) => child.asked("services"))).toEqual([states, states]);
  children[1]!.end({ code: 1, signal: null });
  await turn();
  clock.advance(100);
  await turn();
  expect(children[2]!.kinds).toEqual(["services", "apply"]);
});

test("WorkerPool measures and reports every process, and waits for none that is silent", async () => {
  const { pool, children, clock, told } = await serving(2);
  const measuring = pool.measure();
  await children[0]!.answer("measure", beat);
  clock.advance(1000);
  await measuring;
  expect(told).toEqual([[1, measured]]);
  const reporting = pool.report();
  await children[0]!.answer("report", { version: 1 });
  clock.advance(1000);
  expect((await reporting).map(({ number, report }) => [number, report])).toEqual([
    [1, { version: 1 } as never],
    [2, null],
  ]);
});

test("WorkerPool drains all workers, and says how many connections it cut", async () => {
  const { pool, children } = await serving(3);
  const drained = pool.drain(5000);
  await turn();
  for (const child of children) await child.answer("drain", { forced: 2, measured });
  expect(await drained).toEqual({ forced: 6 });
});

test("WorkerPool counts the callers that are left in all workers that answer", async () => {
  const { pool, children, clock } = await serving(3);
  const left = pool.leave("inbound", "close");
  expect(children.map((child) => child.asked("leave"))).toEqual(
    Array(3).fill({ listener: "inbound", stage: "close" }),
  );
  await children[0]!.answer("leave", { requests: 5, connections: 1 });
  await children[2]!.answer("leave", { requests: 7, connections: 2 });
  clock.advance(1000);
  expect(await left).toEqual({ requests: 12, connections: 3 });
});

test("WorkerPool tells every process what runs beside the node, those that start later too", async () => {
  const { pool, children } = await serving(2);
  pool.accompany(4711);
  const replaced = pool.replace(1);
  await turn();
  expect(children.map((child) => child.asked("command"))).toEqual([4711, 4711, 4711]);
  for (const child of children) await child.answer("command", null);
  await children[2]!.accept();
  await children[0]!.answer("drain", { forced: 0, measured });
  expect(await replaced).toBeNull();
  pool.accompany(null);
  await turn();
  expect(children[2]!.asked("command")).toBeNull();
});
