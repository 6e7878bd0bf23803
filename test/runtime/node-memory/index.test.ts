import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createSharedMemory } from "../../../src/host/shared-memory/bun.ts";
import type { SharedMemory } from "../../../src/machine.ts";
import { NodeMemory, nodeMemoryBytes, processesMax } from "../../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../../src/runtime/node-memory/private-memory.ts";
import { SeededRandom } from "../../seeded-random.ts";

function memory(): NodeMemory {
  return new NodeMemory(privateMemory(), new SeededRandom(1));
}

/** Two views of the same bytes, as two processes have them. */
function two(): [NodeMemory, NodeMemory] {
  const bytes = privateMemory();
  return [new NodeMemory(bytes, new SeededRandom(1)), new NodeMemory(bytes, new SeededRandom(2))];
}

/** A process that counts; see counting-child.ts. */
function child(number: number, additions: string, { descriptor }: SharedMemory) {
  const said = Promise.withResolvers<void>();
  const program = [process.execPath, join(import.meta.dir, "counting-child.ts"), String(number), additions];
  const started = Bun.spawn(program, {
    stdio: ["ignore", "inherit", "inherit", descriptor],
    ipc: () => said.resolve(),
  });
  return { said: said.promise, ended: started.exited, kill: () => started.kill("SIGKILL") };
}

describe("NodeMemory", () => {
  test("counts connections of the node over its processes", () => {
    const [left, right] = two();
    const [one, other] = [left.share(0).connections, right.share(processesMax - 1).connections];
    expect([one.enter(2), other.enter(2), one.enter(2), other.enter(2)]).toEqual([true, true, false, false]);
    expect([one.open, other.open]).toEqual([2, 2]);
    one.leave();
    expect(other.enter(2)).toBe(true);
  });

  test("counts connections of each listening address for itself", () => {
    const [left, right] = two();
    const [web, webToo] = [left.share(0), right.share(1)].map((one) => one.connectionsAt("0.0.0.0:80"));
    const api = left.share(0).connectionsAt("0.0.0.0:81");
    expect([web!.enter(1), webToo!.enter(1), api.enter(1)]).toEqual([true, false, true]);
    expect(left.share(0).connections.open).toBe(0);
  });

  test("forgets what a process that is gone had open, and only that", () => {
    const [left, right] = two();
    for (const share of [left.share(3), right.share(4)]) {
      share.connections.enter(10);
      share.connectionsAt("unix:/run/a.sock").enter(10);
    }
    expect([left.connectionsOf(3), left.connectionsOf(4), left.connectionsOf(5)]).toEqual([1, 1, 0]);
    left.forget(3);
    expect([left.connectionsOf(3), left.connectionsOf(4)]).toEqual([0, 1]);
    expect(right.share(5).connectionsAt("unix:/run/a.sock").open).toBe(1);
  });

  test("counter is the same one under the same key in every process", () => {
    const [left, right] = two();
    expect(left.share(0).counter("a").add(5)).toBe(5);
    expect(right.share(1).counter("a").add(-2)).toBe(3);
    expect(right.share(1).counter("b").value).toBe(0);
    expect(left.share(0).counter("a").value).toBe(3);
  });

  test("counter is exact beyond 32 bits", () => {
    const counter = memory().share(0).counter("bytes");
    counter.add(2 ** 40);
    expect(counter.add(-1)).toBe(2 ** 40 - 1);
    expect(() => counter.add(0.5)).toThrow();
  });

  test("counter is swapped only while it is what was expected, in every process", () => {
    const [left, right] = two();
    expect(
      left
        .share(0)
        .counter("a")
        .swap(0, 2 ** 50),
    ).toBe(0);
    expect(right.share(1).counter("a").swap(0, 7)).toBe(2 ** 50);
    expect(right.share(1).counter("a").value).toBe(2 ** 50);
  });

  test("counter says when there are too many, and the known ones go on", () => {
    const share = memory().share(0);
    for (let key = 0; key < 4096; key++) share.counter(`key ${key}`).add(key);
    expect(() => share.counter("one more")).toThrow(
      'cannot count under "one more": the filters of this node already count under 4096 keys',
    );
    expect(share.counter("key 4095").add(1)).toBe(4096);
  });

  test("connectionsAt says when there were too many addresses", () => {
    const share = memory().share(0);
    for (let port = 0; port < 1024; port++) share.connectionsAt(`127.0.0.1:${port}`);
    expect(() => share.connectionsAt("127.0.0.1:1024")).toThrow(
      "cannot count the connections of 127.0.0.1:1024",
    );
  });

  test("says which user's filter a process runs, and which one ran last", () => {
    const [left, right] = two();
    const outer = { name: "./outer.ts", version: "1" };
    const inner = { name: "./inner.ts", version: "1" };
    const [outerMark, innerMark] = [outer, inner].map(({ name, version }) =>
      left.share(3).filterMark(name, version),
    );
    const seen = () => right.filterOf(3, [inner, outer]);
    expect(seen()).toBeNull();
    const before = outerMark!.enter();
    expect(seen()).toEqual({ code: outer, state: "running" });
    const around = innerMark!.enter();
    expect(seen()).toEqual({ code: inner, state: "running" });
    innerMark!.leave(around);
    expect(seen()).toEqual({ code: outer, state: "running" });
    outerMark!.leave(before);
    expect(seen()).toEqual({ code: outer, state: "left" });
    innerMark!.resumed();
    expect(seen()).toEqual({ code: inner, state: "left" });
    expect(right.filterOf(3, [{ name: "./inner.ts", version: "2" }])).toBeNull();
    expect(right.filterOf(4, [inner])).toBeNull();
    right.forget(3);
    expect(seen()).toBeNull();
  });

  test("is exact over processes, one of which is killed while it counts", async () => {
    const shared = (await createSharedMemory(nodeMemoryBytes))!;
    const own = new NodeMemory(shared, new SeededRandom(9));
    const counting = [0, 1, 2, 3].map((number) => child(number, "100000", shared));
    const killed = child(4, "forever", shared);
    await killed.said;
    expect(own.connectionsOf(4)).toBe(37);
    const progress = own.share(5).counter("filter killed");
    const before = progress.value;
    while (progress.value < before + 1000) await Bun.sleep(1);
    killed.kill();
    await Promise.all([...counting, killed].map(({ ended }) => ended));
    // It may have been killed between its two additions, which cancel each other out.
    const counted = own.share(5).counter("filter calls").value;
    expect([400_000, 400_001]).toContain(counted);
    expect(own.share(5).connections.open).toBe(37);
    own.forget(4);
    expect(own.share(5).connections.open).toBe(0);
  }, 30_000);
});
