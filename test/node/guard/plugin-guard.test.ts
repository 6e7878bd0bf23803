import { describe, expect, test } from "bun:test";
import type { PluginCode } from "../../../src/filter-lookup.ts";
import { PluginGuard } from "../../../src/node/guard/plugin-guard.ts";
import { type ReloadParts, Reloads } from "../../../src/node/reloads.ts";
import { WorkerPool } from "../../../src/node/worker-pool.ts";
import { NodeMemory } from "../../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../../src/runtime/node-memory/private-memory.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import type { FilterTotals } from "../../../src/telemetry/index.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { beat, type FakeChild, fakeParts, measured, turn } from "../fake-worker.ts";
import { code, snapshotWith } from "./fake-plugins.ts";

const mebibyte = 2 ** 20;
const limitBytes = 100 * mebibyte;

/** A node whose workers serve version "a" of a plugin, then "b". */
async function node(workers: number, plugins: readonly PluginCode[] = [code("a"), code("b")]) {
  const fake = fakeParts();
  const { clock, children, said, parts } = fake;
  const memory = new NodeMemory(privateMemory(), new SeededRandom(1));
  const resident = new Map<number, number>();
  const state = { live: null as Snapshot | null, totals: [] as FilterTotals[], rollbacks: [] as unknown[] };
  let guard: PluginGuard;
  const first = Array.from({ length: workers }, (_, seat) => fake.start({ number: seat + 1, seat }));
  const pool = new WorkerPool({ ...parts, onSilent: (process) => guard.silent(process) }, first);
  const reloads = new Reloads({ onError: (error: unknown) => void said.push(String(error)) } as ReloadParts, {
    reading: null as never,
    version: plugins.length,
  });
  guard = new PluginGuard({
    ...{ clock, log: parts.log, memory, pool },
    usage: async (pid) => {
      const residentBytes = resident.get(pid) ?? 10 * mebibyte;
      return { residentBytes, cpuSeconds: clock.now() / 1000, startEpochMs: 0 };
    },
    totals: () => state.totals,
    live: () => state.live,
    change: (other) => reloads.change(other),
    onRolledBack: (snapshot, rollback) => {
      state.live = snapshot;
      state.rollbacks.push(rollback);
    },
    onForgotten: () => {},
  });
  /** What a save does; true when it is live. */
  const save = async (checked: Snapshot): Promise<boolean> => {
    const settled = guard.settle(checked);
    const applied = pool.apply(settled);
    await acceptAll(children);
    if ((await applied)?.ok !== true) return false;
    state.live = settled;
    guard.applied(checked);
    return true;
  };
  for (const [at, plugin] of plugins.entries()) {
    await save(snapshotWith([plugin], at + 1));
  }
  const second = async (seconds = 1, alive = children) => {
    for (let count = 0; count < seconds; count++) {
      clock.advance(1000);
      await turn();
      for (const child of alive) if (child.kinds.includes("measure")) await child.answer("measure", beat);
      await turn();
    }
  };
  return { ...fake, memory, resident, state, guard, pool, save, second };
}

async function acceptAll(children: readonly FakeChild[]): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await turn();
    for (const child of children) if (child.alive && child.kinds.includes("apply")) await child.accept();
  }
}

function codesAsked(child: FakeChild | undefined): string[] {
  return ((child?.asked("apply") as Snapshot | undefined)?.plugins ?? []).map(({ version }) => version);
}

function totals(version: string, calls: number, errors: number): FilterTotals {
  return { filter: "./tenant.ts", version, calls, errors, totalMs: 0 };
}

describe("PluginGuard, of a worker that hangs", () => {
  test("puts the plugin that it runs back in all workers, before that one restarts", async () => {
    const { children, memory, second, state, said, guard } = await node(2);
    memory.share(1).filterMark("./tenant.ts", "b").enter();
    await second(4, children.slice(0, 1));
    expect(children.map(({ alive }) => alive)).toEqual([true, false, true]);
    expect([codesAsked(children[0]), codesAsked(children[2])]).toEqual([["a"], ["a"]]);
    await acceptAll(children);
    expect(state.live).toMatchObject({ version: 3, plugins: [{ version: "a" }] });
    expect(state.rollbacks).toMatchObject([
      { plugin: "./tenant.ts", cause: "hang", heldOff: "b", serves: "a" },
    ]);
    expect(said.filter((text) => text.includes("tenant"))).toEqual([
      "the plugin ./tenant.ts is rolled back: a worker gave no sign of life for 3.0 s: it was running; its version b is held off until it is saved again, version a serves",
    ]);
    expect(guard.settle(snapshotWith([code("b")])).plugins).toEqual([code("a")]);
    expect(guard.settle(snapshotWith([code("c")])).plugins).toEqual([code("c")]);
  });

  test("puts it back once when both workers hang", async () => {
    const { children, memory, second, state } = await node(2);
    for (const seat of [0, 1]) memory.share(seat).filterMark("./tenant.ts", "b").enter();
    await second(4, []);
    await acceptAll(children);
    expect([children.length, state.rollbacks.length]).toEqual([4, 1]);
    expect(state.live?.plugins).toEqual([code("a")]);
  });

  test("names a plugin that has no earlier version, and lets it serve on", async () => {
    const { children, memory, second, state, said } = await node(1, [code("a")]);
    memory.share(0).filterMark("./tenant.ts", "a").enter();
    await second(4, []);
    expect(codesAsked(children[1])).toEqual(["a"]);
    expect(state.rollbacks).toEqual([]);
    expect(said).toContain(
      "the plugin ./tenant.ts did harm (a worker gave no sign of life for 3.0 s: it was running); it serves on, no earlier version is there: mend and save it",
    );
  });

  test("serves on with the new version when the options do not suit the earlier one", async () => {
    const { children, memory, second, state, said, guard } = await node(1);
    memory.share(0).filterMark("./tenant.ts", "b").enter();
    await second(4, []);
    await children[1]!.refuse("options: unknown key");
    await turn();
    expect(codesAsked(children[1])).toEqual(["b"]);
    await acceptAll(children);
    expect([state.rollbacks, guard.rollbacks, state.live?.version]).toEqual([[], [], 2]);
    expect(said.at(-1)).toContain("serves on: its earlier version refuses the config");
  });
});

describe("PluginGuard, of errors", () => {
  test("puts a plugin back that throws more since it was saved, once", async () => {
    const { children, state, second } = await node(2);
    state.totals = [totals("a", 100, 1), totals("b", 20, 2)];
    await second(2);
    await acceptAll(children);
    await second(5);
    expect(state.rollbacks).toMatchObject([
      { cause: "errors", why: "2 of 20 calls threw within 60 s, of the version before 1 of 100" },
    ]);
    expect(state.live?.plugins).toEqual([code("a")]);
  });

  test("holds the version off when the config alone is saved, and lets the next one serve", async () => {
    const { children, state, second, save } = await node(1);
    state.totals = [totals("a", 100, 0), totals("b", 20, 20)];
    await second();
    await acceptAll(children);
    await save(snapshotWith([code("b")], 4));
    expect(state.live?.plugins).toEqual([code("a")]);
    await save(snapshotWith([code("c")], 5));
    expect(state.live?.plugins).toEqual([code("c")]);
  });
});

describe("PluginGuard, of memory", () => {
  test("replaces a worker that stays above the limit for three seconds, and puts back what was changed before", async () => {
    const { children, resident, second, state, said } = await node(1);
    await second();
    resident.set(1, limitBytes + 1);
    await second(2);
    expect([children.length, codesAsked(children[0])]).toEqual([1, []]);
    await second();
    expect(codesAsked(children[0])).toEqual(["a"]);
    await acceptAll(children);
    expect(codesAsked(children[1])).toEqual([]);
    expect(children[1]!.kinds).toEqual([]);
    expect(children[0]!.kinds).toContain("drain");
    expect(state.rollbacks).toMatchObject([
      { cause: "memory", why: "a worker grew from 10 MiB to 100 MiB: most of it came after it was changed" },
    ]);
    expect(said).toContain(
      "worker 1 has 100 MiB, wanted at most 100 MiB (limits.workerMemory): it is replaced",
    );
  });

  test("leaves a worker at the limit alone, and one that is above it for a moment", async () => {
    const { children, resident, second } = await node(1);
    resident.set(1, limitBytes);
    await second(10);
    for (let time = 0; time < 3; time++) {
      resident.set(1, limitBytes + 1);
      await second(2);
      resident.set(1, limitBytes);
      await second();
    }
    expect(children.length).toBe(1);
  });

  test("kills one that is far above it, at once", async () => {
    const { children, resident, second, state } = await node(1);
    await second();
    resident.set(1, 1.5 * limitBytes);
    await second();
    expect(children[0]!.alive).toBe(true);
    resident.set(1, 1.5 * limitBytes + 1);
    await second();
    expect(children[0]!.alive).toBe(false);
    await acceptAll(children);
    expect(state.rollbacks).toMatchObject([{ cause: "memory" }]);
  });

  test("replaces a worker that is always above it once a minute, and puts back nothing that was there before", async () => {
    const { children, resident, second, state } = await node(1, [code("a")]);
    for (let pid = 1; pid < 10; pid++) resident.set(pid, limitBytes + 1);
    for (let minute = 0; minute < 2; minute++) {
      await second(30);
      await acceptAll(children);
      for (const child of children)
        if (child.kinds.includes("drain")) await child.answer("drain", { forced: 0, measured });
      await second(32);
      await acceptAll(children);
    }
    expect(children.length).toBeLessThanOrEqual(4);
    expect(children.length).toBeGreaterThanOrEqual(3);
    expect(state.rollbacks).toEqual([]);
  });
});

test("PluginGuard replaces a worker that has loaded a hundred versions that do not serve any more", async () => {
  const { children, save, second, said } = await node(1, []);
  for (let version = 0; version <= 100; version++)
    await save(snapshotWith([code(`${version}`)], version + 1));
  await second();
  expect(children.length).toBe(1);
  await save(snapshotWith([code("one more")], 200));
  await second();
  expect(said.at(-1)).toBe(
    "worker 1 has loaded 102 versions of plugins (0 MiB); it is replaced to free them",
  );
  expect(codesAsked(children[1])).toEqual(["one more"]);
  await acceptAll(children);
  await second(100);
  expect(children.length).toBe(2);
});
