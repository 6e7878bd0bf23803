import { beforeEach, expect, test } from "bun:test";
import { gatherMs, InstanceKeeper } from "../../../src/coordinator/registry/instance-keeper.ts";
import { leaseMs, Registry, registryLimits } from "../../../src/coordinator/registry/registry.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { type InstancesChange, StoreFailure } from "../../../src/coordinator/store/store.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { instance } from "../mesh-documents.ts";

class WatchedStore extends MemoryStore {
  readonly changes: InstancesChange[] = [];
  full: "yes" | "no" = "no";

  override async changeInstances(change: InstancesChange): Promise<void> {
    if (this.full === "yes") throw new StoreFailure("store-full", "no room left on the disk");
    this.changes.push(change);
    await super.changeInstances(change);
  }
}

let clock: VirtualClock;
let store: WatchedStore;
let recorders: Recorders;
let registry: Registry;
let keeper: InstanceKeeper;

beforeEach(() => {
  clock = new VirtualClock();
  store = new WatchedStore();
  recorders = new Recorders(() => {});
  [registry, keeper] = start();
});

function start(limits = registryLimits): [Registry, InstanceKeeper] {
  const made = new Registry({ clock, limits, changed: (change) => kept.changed(change) });
  const kept = new InstanceKeeper({ store, clock, log: recorders.log }, made);
  return [made, kept];
}

async function pass(durationMs: number): Promise<void> {
  clock.advance(durationMs);
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}

async function storedIds(): Promise<string[]> {
  return (await store.listInstances()).map((one) => one.instance.id);
}

test("the store hears of registering, health, draining and expiry, not of renewals", async () => {
  const renew = async (more = {}) => {
    registry.renew("payments", { node: "a", instances: [instance("p1", "payments", more)] });
    await pass(gatherMs);
  };
  await renew();
  expect(store.changes).toEqual([
    { put: [{ node: "a", instance: instance("p1", "payments") }], removed: [] },
  ]);
  await renew();
  expect(store.changes).toHaveLength(1);
  for (const state of ["unhealthy", "healthy", "draining"] as const) {
    await renew({ state });
    await renew({ state });
    expect(store.changes.at(-1)).toEqual({
      put: [{ node: "a", instance: instance("p1", "payments", { state }) }],
      removed: [],
    });
  }
  expect(store.changes).toHaveLength(4);
  await pass(leaseMs);
  await pass(gatherMs);
  expect(store.changes[4]).toEqual({ put: [], removed: ["p1"] });
});

test("10,000 instances that are renewed are no write, one of them that falls ill is a write of that one", async () => {
  const renewAll = (unwell: string) => {
    for (let node = 0; node < 100; node++) {
      const instances = Array.from({ length: 100 }, (_, at) => {
        const id = `p${node}-${at}`;
        return instance(id, "payments", id === unwell ? { state: "unhealthy" } : {});
      });
      registry.renew("payments", { node: `n${node}`, instances });
    }
  };
  renewAll("nobody");
  await pass(gatherMs);
  expect(store.changes.map(({ put }) => put.length)).toEqual(Array.from({ length: 10 }, () => 1000));
  for (let renewal = 0; renewal < 5; renewal++) {
    renewAll("nobody");
    await pass(3000);
  }
  expect(store.changes).toHaveLength(10);
  for (let renewal = 0; renewal < 3; renewal++) {
    renewAll("p7-7");
    await pass(3000);
  }
  expect(store.changes.slice(10)).toMatchObject([
    { put: [{ node: "n7", instance: { id: "p7-7", state: "unhealthy" } }], removed: [] },
  ]);
});

test("one that falls ill and recovers before it is stored is not stored", async () => {
  const renew = (more = {}) =>
    registry.renew("payments", { node: "a", instances: [instance("p1", "payments", more)] });
  renew();
  await pass(gatherMs);
  renew({ state: "unhealthy" });
  renew();
  await pass(gatherMs);
  expect(store.changes).toHaveLength(1);
});

test("many nodes that register at once are few writes, of bounded size", async () => {
  for (let node = 0; node < 1500; node++) {
    registry.renew("payments", { node: `n${node}`, instances: [instance(`p${node}`, "payments")] });
  }
  await pass(gatherMs);
  expect(store.changes.map(({ put }) => put.length)).toEqual([1000, 500]);
});

test("one that comes and goes before it is stored is not stored", async () => {
  registry.renew("payments", { node: "a", instances: [instance("p1", "payments")] });
  registry.renew("payments", { node: "a", instances: [] });
  await pass(gatherMs);
  expect(store.changes).toEqual([]);
});

test("a coordinator that starts again has what the store has, and writes none of it again", async () => {
  registry.renew("payments", { node: "a", instances: [instance("p1", "payments", { state: "unhealthy" })] });
  registry.renew("payments", { node: "b", instances: [instance("p2", "payments")] });
  await keeper.close();
  expect(await storedIds()).toEqual(["p1", "p2"]);
  const [again, kept] = start();
  await kept.load();
  expect(again.service("payments")?.size).toBe(2);
  expect(again.service("payments")?.get("p1")?.instance.state).toBe("unhealthy");
  again.renew("payments", { node: "a", instances: [instance("p1", "payments", { state: "unhealthy" })] });
  await pass(gatherMs);
  expect(store.changes).toHaveLength(1);
  await pass(leaseMs);
  await pass(gatherMs);
  expect(await storedIds()).toEqual([]);
});

test("with a store that is full registering goes on; it is said, counted, and told again", async () => {
  store.full = "yes";
  registry.renew("payments", { node: "a", instances: [instance("p1", "payments")] });
  await pass(gatherMs);
  await pass(5000);
  expect(registry.size).toBe(1);
  expect(keeper.problem).toContain("no room left on the disk");
  expect(keeper.failures).toBe(2);
  expect(recorders.logged.map(({ message }) => message)).toEqual(["instances are not stored"]);
  store.full = "no";
  registry.renew("payments", { node: "a", instances: [instance("p1", "payments")] });
  await pass(5000);
  expect(keeper.problem).toBeNull();
  expect(await storedIds()).toEqual(["p1"]);
  expect(recorders.logged.at(-1)?.message).toBe("instances are stored again");
});

const some = (of: string, count: number, service = "payments") =>
  Array.from({ length: count }, (_, at) => instance(`${of}-${at}`, service));

test("a process that was killed between two writes may leave more instances of a node than it may have: the next one starts all the same", async () => {
  const renewAll = (ids: string) => {
    registry.renew("payments", { node: "few", instances: some(`few-${ids}`, 25) });
    for (let node = 0; node < 10; node++) {
      registry.renew("payments", { node: `n${node}`, instances: some(`n${node}-${ids}`, 100) });
    }
  };
  renewAll("first");
  await pass(gatherMs);
  await pass(gatherMs);
  renewAll("second");
  // What is killed writes one batch and no more.
  const write = store.changeInstances.bind(store);
  let writes = 0;
  store.changeInstances = async (change) => {
    writes += 1;
    if (writes === 1) await write(change);
    else await new Promise(() => {});
  };
  await pass(gatherMs);
  store.changeInstances = write;
  registry.close();
  const countOf = async (node: string) =>
    (await store.listInstances()).filter((one) => one.node === node).length;
  expect(await countOf("n4")).toBeGreaterThan(100);

  const [again, kept] = start();
  await kept.load();
  const nodes = again.nodes().map(({ node, instances }) => [node, instances]);
  expect(nodes).toContainEqual(["n4", 100]);
  expect(nodes).toHaveLength(11);
  expect(recorders.logged).toMatchObject([
    {
      level: "warn",
      message: "the store has more instances than there may be: some are left out",
      fields: { nodes: 1, first: "payments/n4" },
    },
  ]);
  await pass(gatherMs);
  expect(await countOf("n4")).toBe(100);
  // The node lives, and says what it has.
  again.renew("payments", { node: "n4", instances: some("n4-second", 100) });
  await pass(gatherMs);
  expect((await storedIds()).filter((id) => id.startsWith("n4-"))).toEqual(
    some("n4-second", 100)
      .map(({ id }) => id)
      .sort(),
  );
});

test("where the limits are smaller than they were what fits is kept, the same at each start, and the store forgets the rest", async () => {
  for (const node of ["a", "b", "c"]) {
    registry.renew("payments", { node, instances: some(`p-${node}`, 3) });
    registry.renew("accounts", { node, instances: some(`a-${node}`, 1, "accounts") });
  }
  await keeper.close();
  const limits = { perNode: 2, perService: 3, inAll: 5, nodes: 4, nodesPerService: 3 };
  const keptAt = async (given: typeof limits) => {
    const [again, kept] = start(given);
    await kept.load();
    const ids = again.services().flatMap((name) => [...again.service(name)!.all()]);
    return { kept, ids: ids.map(({ instance: { id } }) => id) };
  };
  const left = ["a-a-0", "a-b-0", "a-c-0", "p-a-0", "p-a-1"];
  expect((await keptAt(limits)).ids).toEqual(left);
  expect((await keptAt({ ...limits, nodes: 2 })).ids).toEqual(["a-a-0", "a-b-0"]);
  expect((await keptAt({ ...limits, nodesPerService: 1 })).ids).toEqual(["a-a-0", "p-a-0", "p-a-1"]);
  expect((await keptAt({ ...limits, inAll: 50, nodes: 50 })).ids).toEqual([...left, "p-b-0"]);
  const { kept } = await keptAt(limits);
  expect(recorders.logged.at(-1)?.fields).toEqual({
    instances: 7,
    nodes: 3,
    first: "payments/a, payments/b, payments/c",
  });
  await kept.close();
  expect(await storedIds()).toEqual(left);
});
