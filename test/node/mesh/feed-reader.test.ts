import { describe, expect, test } from "bun:test";
import type { FeedMessage } from "../../../src/mesh.ts";
import { FeedReader } from "../../../src/node/mesh/feed-reader.ts";
import { type MeshChange, MeshView } from "../../../src/node/mesh/mesh-view.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { FakeCoordinator, settled } from "./fake-coordinator.ts";
import { instance, meshService } from "./nouns.ts";

const whole: readonly FeedMessage[] = [
  { kind: "mesh", trustDomain: "store.example", egress: "allow", removed: [], roots: "root" },
  { kind: "rules", service: "payments", tag: "r1", rules: meshService("payments"), plugins: [] },
  { kind: "instances", service: "payments", tag: "i1", instances: [instance("a")] },
  { kind: "live", version: 1 },
];

function reading() {
  const clock = new VirtualClock();
  const coordinator = new FakeCoordinator();
  const changes: MeshChange[] = [];
  const view = new MeshView();
  const recorders = new Recorders(() => {});
  const reader = new FeedReader({
    clock,
    random: new SeededRandom(1),
    log: recorders.log,
    node: "node-1",
    view,
    open: coordinator.open,
    changed: (change) => changes.push(change),
  });
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(Math.min(left, 100));
      await settled();
    }
  };
  return { clock, coordinator, changes, view, reader, pass, logged: recorders.logged };
}

describe("FeedReader", () => {
  test("tells what changed at each live, and goes on from the tags that it has when the feed breaks", async () => {
    const { coordinator, changes, reader, pass, logged } = reading();
    reader.follow(["payments"]);
    await settled();
    coordinator.feeds[0]!.send(...whole);
    await settled();
    expect(changes).toEqual([{ rules: "changed", instances: ["payments"] }]);
    coordinator.feeds[0]!.send(new Error("connection reset"));
    await pass(200);
    expect(coordinator.feeds[0]!.closed).toBe(true);
    expect(coordinator.feeds[1]!.request).toEqual({
      node: "node-1",
      services: ["payments"],
      known: { payments: { rules: "r1", instances: "i1" } },
    });
    expect(reader.warning()).toContain("connection reset");
    coordinator.feeds[1]!.send(whole[0]!, { kind: "live", version: 1 });
    await settled();
    expect(reader.warning()).toBeNull();
    expect(logged.map(({ level }) => level)).toEqual(["warn", "info"]);
  });

  test("a feed that the coordinator ends in order is opened anew without a word", async () => {
    const { coordinator, reader, pass, logged } = reading();
    reader.follow(["payments"]);
    await settled();
    coordinator.feeds[0]!.send(...whole, null);
    await pass(200);
    expect(coordinator.feeds.length).toBe(2);
    expect(logged).toEqual([]);
  });

  test("silence of 15 s ends a feed; a beat is enough to keep it", async () => {
    const { coordinator, reader, pass } = reading();
    reader.follow(["payments"]);
    await settled();
    coordinator.feeds[0]!.send(...whole);
    await pass(14_000);
    coordinator.feeds[0]!.send({ kind: "beat" });
    await pass(14_900);
    expect(coordinator.feeds.length).toBe(1);
    await pass(400);
    expect(coordinator.feeds[0]!.closed).toBe(true);
    expect(coordinator.feeds.length).toBe(2);
    expect(reader.warning()).toContain("nothing was heard of it for 15 s");
  });

  test("tries again and again, ever more rarely, while the coordinator is away", async () => {
    const { coordinator, reader, pass } = reading();
    coordinator.reachable = false;
    reader.follow(["payments"]);
    await pass(60_000);
    expect(reader.warning()).toContain("connection refused");
    coordinator.reachable = true;
    const tries = coordinator.feeds.length;
    await pass(5_000);
    expect(coordinator.feeds.length).toBe(tries + 1);
  });

  test("other services are a new feed; what the old one still says is not heard", async () => {
    const { coordinator, changes, reader, view } = reading();
    reader.follow(["payments"]);
    await settled();
    coordinator.feeds[0]!.send(...whole);
    await settled();
    reader.follow(["payments"]);
    expect(coordinator.feeds.length).toBe(1);
    reader.follow(["products", "payments"]);
    await settled();
    expect(coordinator.feeds[1]!.request.services).toEqual(["payments", "products"]);
    expect(coordinator.feeds[0]!.closed).toBe(true);
    coordinator.feeds[0]!.send({ kind: "live", version: 9 });
    await settled();
    expect(changes.length).toBe(1);
    expect(view.knowledge?.version).toBe(1);
  });

  test("nothing is opened after close", async () => {
    const { coordinator, reader, pass } = reading();
    reader.follow(["payments"]);
    await settled();
    reader.close();
    await pass(60_000);
    expect(coordinator.feeds.length).toBe(1);
    expect(coordinator.feeds[0]!.closed).toBe(true);
  });
});
