import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import {
  leaseMs,
  Registry,
  type RegistryChange,
  renewEveryMs,
} from "../../../src/coordinator/registry/registry.ts";
import type { Clock } from "../../../src/machine.ts";
import type { Instance, InstanceState } from "../../../src/mesh.ts";
import { VirtualClock } from "../../virtual-clock.ts";

let clock: VirtualClock;
let changes: RegistryChange[];
let registry: Registry;

beforeEach(() => {
  clock = new VirtualClock();
  changes = [];
  registry = new Registry({ clock, changed: (change) => void changes.push(change) });
});

function instance(id: string, more: Partial<Instance> = {}): Instance {
  const address = { host: "10.0.0.1", port: 4143 };
  return {
    id,
    service: "payments",
    address,
    version: null,
    zone: null,
    weight: 1,
    state: "healthy",
    ...more,
  };
}

function ids(service: string, of = registry): string[] {
  return [...(of.service(service)?.all() ?? [])].map(({ instance }) => instance.id).sort();
}

function stateOf(id: string): InstanceState | undefined {
  return registry.service("payments")?.get(id)?.instance.state;
}

function reasonOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return "none";
}

describe("leases", () => {
  test("an instance is there at once, and one event says so", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    expect(ids("payments")).toEqual(["p1"]);
    expect(changes).toEqual([{ service: "payments", ids: ["p1"] }]);
  });

  test("a node without instances is listed while it says what is live there, and gone when it says nothing", () => {
    registry.renew("gateway", { node: "g", instances: [], version: 3 });
    expect(registry.nodes()).toMatchObject([{ node: "g", instances: 0, version: 3 }]);
    registry.renew("gateway", { node: "g", instances: [] });
    expect(registry.nodes()).toEqual([]);
    registry.renew("gateway", { node: "g", instances: [], version: 3 });
    clock.advance(leaseMs);
    expect(registry.nodes()).toEqual([]);
    expect(changes).toEqual([]);
  });

  test("a renewal that changes nothing tells nobody, and keeps the node's instances", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1"), instance("p2")] });
    for (let at = 0; at < 60_000; at += renewEveryMs) {
      clock.advance(renewEveryMs);
      registry.renew("payments", { node: "a", instances: [instance("p1"), instance("p2")] });
    }
    expect(ids("payments")).toEqual(["p1", "p2"]);
    expect(changes).toHaveLength(1);
  });

  test("the instances of a killed node are gone when its lease ends, those of others stay", () => {
    registry.renew("payments", { node: "killed", instances: [instance("p1"), instance("p2")] });
    clock.advance(5000);
    registry.renew("payments", { node: "lives", instances: [instance("p3")] });
    clock.advance(leaseMs - 5000 - 1);
    expect(ids("payments")).toEqual(["p1", "p2", "p3"]);
    clock.advance(1);
    expect(ids("payments")).toEqual(["p3"]);
    expect(changes.at(-1)).toEqual({ service: "payments", ids: ["p1", "p2"] });
  });

  test("the lease of a node that renews outlives one that was made later and is not renewed", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    clock.advance(1000);
    registry.renew("payments", { node: "b", instances: [instance("p2")] });
    clock.advance(1000);
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    clock.advance(leaseMs - 1000);
    expect(ids("payments")).toEqual(["p1"]);
    clock.advance(1000);
    expect(ids("payments")).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  test("a drained instance is said to drain at once, and is gone at once when its node leaves it out", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1"), instance("p2")] });
    registry.renew("payments", {
      node: "a",
      instances: [instance("p1", { state: "draining" }), instance("p2")],
    });
    expect(stateOf("p1")).toBe("draining");
    expect(changes.at(-1)?.ids).toEqual(["p1"]);
    registry.renew("payments", { node: "a", instances: [instance("p2")] });
    expect(ids("payments")).toEqual(["p2"]);
    registry.renew("payments", { node: "a", instances: [] });
    expect(registry.services()).toEqual([]);
    expect(registry.nodes()).toEqual([]);
  });

  test("health as a node sees it is an event", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    registry.renew("payments", { node: "a", instances: [instance("p1", { state: "unhealthy" })] });
    expect(stateOf("p1")).toBe("unhealthy");
    expect(changes).toHaveLength(2);
  });

  test("a service that is removed loses its instances at once, and only it", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    registry.renew("accounts", { node: "b", instances: [instance("a1", { service: "accounts" })] });
    registry.remove("payments");
    expect(registry.services()).toEqual(["accounts"]);
    expect(registry.size).toBe(1);
  });
});

describe("a coordinator that comes back", () => {
  const stored = [
    { node: "a", instance: instance("p1") },
    { node: "b", instance: instance("p2") },
  ];

  test("gives what the store knows one lease's time, whatever the clock on the wall says", () => {
    const wrongClock: Clock = {
      now: () => clock.now(),
      epochMs: () => {
        throw new Error("leases know no date");
      },
      after: (delayMs, run) => clock.after(delayMs, run),
      every: (periodMs, run) => clock.every(periodMs, run),
    };
    const back = new Registry({ clock: wrongClock, changed: (change) => void changes.push(change) });
    back.load(stored);
    expect(ids("payments", back)).toEqual(["p1", "p2"]);
    clock.advance(leaseMs - 1);
    back.renew("payments", { node: "a", instances: [instance("p1")] });
    expect(ids("payments", back)).toEqual(["p1", "p2"]);
    clock.advance(1);
    expect(ids("payments", back)).toEqual(["p1"]);
  });

  test("that was away for an hour takes the nodes back with their first renewal, under the same tag", () => {
    registry.load(stored);
    const tag = registry.service("payments")!.tag;
    registry.close();
    clock.advance(3_600_000);
    const back = new Registry({ clock, changed: () => {} });
    for (const { node, instance } of stored) back.renew("payments", { node, instances: [instance] });
    expect(back.service("payments")!.tag).toBe(tag);
  });

  test("a process that did not run for a while does not take its own silence for that of the nodes", () => {
    let stoppedMs = 0;
    const stopped: Clock = {
      now: () => clock.now() + stoppedMs,
      epochMs: () => clock.epochMs(),
      after: (delayMs, run) => clock.after(delayMs, run),
      every: (periodMs, run) => clock.every(periodMs, run),
    };
    const held = new Registry({ clock: stopped, changed: () => {} });
    held.renew("payments", { node: "a", instances: [instance("p1")] });
    clock.advance(5000);
    stoppedMs = 60_000;
    clock.advance(5000);
    expect(ids("payments", held)).toEqual(["p1"]);
    clock.advance(leaseMs);
    expect(ids("payments", held)).toEqual([]);
  });
});

describe("refusals", () => {
  test("a node that claims another's service is refused, and nothing is changed", () => {
    const claimed = [instance("p1"), instance("a1", { service: "accounts" })];
    expect(reasonOf(() => registry.renew("payments", { node: "a", instances: claimed }))).toBe(
      "not-your-service",
    );
    expect(registry.size).toBe(0);
  });

  test("an id that is another node's is refused, of the same service and of another one", () => {
    registry.renew("payments", { node: "a", instances: [instance("p1")] });
    const again = () => registry.renew("payments", { node: "b", instances: [instance("p1")] });
    expect(reasonOf(again)).toBe("instance-taken");
    const elsewhere = () =>
      registry.renew("accounts", { node: "a", instances: [instance("p1", { service: "accounts" })] });
    expect(reasonOf(elsewhere)).toBe("instance-taken");
    clock.advance(leaseMs);
    expect(reasonOf(again)).toBe("none");
  });

  test("an id that is named twice is refused", () => {
    const twice = [instance("p1"), instance("p1", { weight: 2 })];
    expect(reasonOf(() => registry.renew("payments", { node: "a", instances: twice }))).toBe(
      "instance-twice",
    );
  });

  test("each maximum holds at its number and not one past it", () => {
    const limits = { perNode: 2, perService: 3, inAll: 4, nodes: 10, nodesPerService: 10 };
    const small = new Registry({ clock, limits, changed: () => {} });
    const renew = (node: string, names: string[], service = "payments") =>
      reasonOf(() => small.renew(service, { node, instances: names.map((id) => instance(id, { service })) }));
    expect(renew("a", ["1", "2", "3"])).toBe("too-many-instances");
    expect(renew("a", ["1", "2"])).toBe("none");
    expect(renew("b", ["3", "4"])).toBe("too-many-instances");
    expect(renew("b", ["3"])).toBe("none");
    expect(renew("c", ["5", "6"], "accounts")).toBe("too-many-instances");
    expect(renew("c", ["5"], "accounts")).toBe("none");
    expect(renew("a", ["1", "7"])).toBe("none");
  });

  test("a node without instances that says its version is there for a lease's time, up to so many nodes", () => {
    const limits = { perNode: 2, perService: 3, inAll: 4, nodes: 2, nodesPerService: 2 };
    const small = new Registry({ clock, limits, changed: () => {} });
    const renew = (node: string, more: object) =>
      reasonOf(() => small.renew("gateway", { node, instances: [], ...more }));
    expect([renew("a", { version: 7 }), renew("b", { version: 7 })]).toEqual(["none", "none"]);
    expect(renew("c", { version: 7 })).toBe("too-many-nodes");
    expect(renew("c", {})).toBe("none");
    expect(small.nodes()).toMatchObject([
      { service: "gateway", node: "a", instances: 0, version: 7, leaseLeftMs: leaseMs },
      { node: "b" },
    ]);
    expect(renew("a", {})).toBe("none");
    expect(small.nodes().map(({ node }) => node)).toEqual(["b"]);
    clock.advance(leaseMs);
    expect(small.nodes()).toEqual([]);
    expect(renew("c", { version: 8 })).toBe("none");
  });

  test("one service under many node names leaves the others room: it has a limit of its own", () => {
    const limits = { perNode: 2, perService: 3, inAll: 9, nodes: 5, nodesPerService: 3 };
    const small = new Registry({ clock, limits, changed: () => {} });
    const refusalOf = (service: string, node: string, words: object = { version: 1 }) => {
      try {
        small.renew(service, { node, instances: [], ...words });
        return "none";
      } catch (error) {
        return (error as Error).message;
      }
    };
    const names = Array.from({ length: 100 }, (_, at) => `n${at}`);
    const answers = names.map((node) => refusalOf("payments", node));
    expect(answers.filter((answer) => answer === "none")).toHaveLength(3);
    expect(answers[99]).toBe('there are 3 nodes of "payments" already, and may be no more');
    expect(refusalOf("payments", "n1")).toBe("none");
    expect([refusalOf("accounts", "n0"), refusalOf("accounts", "n1")]).toEqual(["none", "none"]);
    expect(refusalOf("accounts", "n2")).toBe("there are 5 nodes in the mesh already, and may be no more");
    // One that leaves, and those whose leases end, make room.
    expect(refusalOf("payments", "n1", {})).toBe("none");
    expect([refusalOf("payments", "n50"), refusalOf("payments", "n51")]).toEqual(["none", answers[99]!]);
    clock.advance(leaseMs);
    expect(refusalOf("payments", "n51")).toBe("none");
    small.remove("payments");
    expect(names.slice(0, 3).map((node) => refusalOf("payments", node))).toEqual(["none", "none", "none"]);
  });
});

test("the tag of a service is the same exactly when its instances are", () => {
  const state = fc.constantFrom<InstanceState>("healthy", "unhealthy", "draining");
  const some = fc.uniqueArray(
    fc.record({ id: fc.constantFrom("p1", "p2", "p3", "p4"), weight: fc.integer({ min: 1, max: 3 }), state }),
    { selector: ({ id }) => id, minLength: 1 },
  );
  const texts = (of: Registry) => [...of.service("payments")!.all()].map(({ text }) => text).sort();
  fc.assert(
    fc.property(fc.array(some, { minLength: 1 }), fc.array(some, { minLength: 1 }), (first, second) => {
      const [one, other] = [first, second].map((steps) => {
        const made = new Registry({ clock, changed: () => {} });
        for (const step of steps) {
          made.renew("payments", { node: "a", instances: step.map(({ id, ...more }) => instance(id, more)) });
        }
        return made;
      });
      const same = JSON.stringify(texts(one!)) === JSON.stringify(texts(other!));
      expect(one!.service("payments")!.tag === other!.service("payments")!.tag).toBe(same);
    }),
  );
});

test("a registry tells exactly what changed: whoever follows its events has what it has", () => {
  const lease = fc.record({
    node: fc.constantFrom("a", "b", "c"),
    names: fc.uniqueArray(fc.constantFrom("1", "2", "3")),
    state: fc.constantFrom<InstanceState>("healthy", "unhealthy", "draining"),
    passesMs: fc.integer({ min: 0, max: 6000 }),
  });
  fc.assert(
    fc.property(fc.array(lease), (leases) => {
      const followed = new Map<string, string>();
      const made = new Registry({
        clock,
        changed: ({ service, ids }) => {
          for (const id of ids) {
            const text = made.service(service)?.get(id)?.text;
            if (text === undefined) expect(followed.delete(id)).toBe(true);
            else followed.set(id, text);
          }
        },
      });
      for (const { node, names, state, passesMs } of leases) {
        const instances = names.map((name) => instance(`${node}${name}`, { state }));
        made.renew("payments", { node, instances });
        clock.advance(passesMs);
        const all = [...(made.service("payments")?.all() ?? [])];
        expect([...followed].sort()).toEqual(
          all.map(({ instance, text }) => [instance.id, text] as [string, string]).sort(),
        );
        expect(made.size).toBe(all.length);
      }
      made.close();
    }),
  );
});
