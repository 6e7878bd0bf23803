import { describe, expect, test } from "bun:test";
import { LeaseKeeper } from "../../../src/node/mesh/lease-keeper.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { FakeCoordinator, settled } from "./fake-coordinator.ts";
import { instance } from "./nouns.ts";

function keeping() {
  const clock = new VirtualClock();
  const coordinator = new FakeCoordinator();
  const recorders = new Recorders(() => {});
  const parts = { clock, random: new SeededRandom(1), log: recorders.log, node: "node-1" };
  const keeper = new LeaseKeeper({ ...parts, lease: coordinator.lease });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(Math.min(left, 250));
      await settled();
    }
  };
  return { clock, coordinator, keeper, pass, logged: recorders.logged };
}

describe("LeaseKeeper", () => {
  test("registers at once, renews every 3 s, and tells a change at once", async () => {
    const { coordinator, keeper, pass } = keeping();
    expect(await keeper.put([instance("a")])).toBe("told");
    await pass(9_000);
    expect(coordinator.leases.length).toBe(4);
    expect(await keeper.put([instance("a", { state: "draining" })])).toBe("told");
    expect(coordinator.leases.at(-1)).toEqual({
      node: "node-1",
      instances: [instance("a", { state: "draining" })],
    });
    // One that says what is known already waits for its turn.
    expect(await keeper.put([instance("a", { state: "draining" })])).toBe("told");
    expect(coordinator.leases.length).toBe(5);
    keeper.close();
    await pass(10_000);
    expect(coordinator.leases.length).toBe(5);
  });

  test("tells soon which version of the document is live, also one that came while it was telling", async () => {
    const { coordinator, keeper, pass } = keeping();
    keeper.live(6);
    await pass(1);
    expect(coordinator.leases).toMatchObject([{ version: 6, instances: [] }]);
    const { promise, resolve } = Promise.withResolvers<void>();
    coordinator.gate = promise;
    keeper.live(7);
    await pass(200);
    keeper.live(8);
    resolve();
    await settled();
    await pass(250);
    expect(coordinator.leases.map(({ version }) => version)).toEqual([6, 7, 8]);
    keeper.close();
  });

  test("who leaves has neither an instance nor a version", async () => {
    const { coordinator, keeper } = keeping();
    keeper.live(6);
    await keeper.put([instance("a")]);
    expect(await keeper.leave()).toBe("told");
    keeper.live(7);
    await settled();
    expect(coordinator.leases.at(-1)).toMatchObject({ instances: [] });
    expect(coordinator.leases.at(-1)).not.toHaveProperty("version");
    keeper.close();
  });

  test("what is put by somebody who was late when the node left is not told", async () => {
    const { coordinator, keeper, pass } = keeping();
    await keeper.put([instance("a")]);
    const left = keeper.leave();
    expect(await keeper.put([instance("a")])).toBe("not told");
    expect(await left).toBe("told");
    await pass(3_000);
    expect(coordinator.leases.map(({ instances }) => instances.length)).toEqual([1, 0, 0]);
    keeper.close();
  });

  test("versions that follow each other quickly are told together", async () => {
    const { coordinator, keeper, pass } = keeping();
    await keeper.put([instance("a")]);
    for (let version = 1; version <= 100; version++) {
      keeper.live(version);
      await pass(10);
    }
    await pass(250);
    expect(coordinator.leases.length).toBeLessThan(10);
    expect(coordinator.leases.at(-1)).toMatchObject({ version: 100 });
    keeper.close();
  });

  test("a change while it is told of another is told next", async () => {
    const { coordinator, keeper } = keeping();
    const { promise, resolve } = Promise.withResolvers<void>();
    coordinator.gate = promise;
    const first = keeper.put([instance("a")]);
    await settled();
    const second = keeper.put([instance("a"), instance("b")]);
    resolve();
    await Promise.all([first, second]);
    expect(coordinator.leases.map(({ instances }) => instances.length)).toEqual([1, 2]);
  });

  test("is tried again when the coordinator is away, said once, and warned of meanwhile", async () => {
    const { coordinator, keeper, pass, logged } = keeping();
    coordinator.reachable = false;
    expect(await keeper.put([instance("a")])).toBe("not told");
    await pass(20_000);
    expect(keeper.warning()).toBe("renewing the lease of this node fails for 20 s: connection refused");
    expect(logged.map(({ level }) => level)).toEqual(["warn"]);
    coordinator.reachable = true;
    await pass(3_000);
    expect(coordinator.leases.at(-1)?.instances).toEqual([instance("a")]);
    expect(keeper.warning()).toBeNull();
    expect(logged.map(({ level }) => level)).toEqual(["warn", "info"]);
  });
});
