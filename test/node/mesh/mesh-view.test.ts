import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { FeedMessage, Instance } from "../../../src/mesh.ts";
import { FeedFault, MeshView } from "../../../src/node/mesh/mesh-view.ts";
import { instance, meshService } from "./nouns.ts";

const mesh: FeedMessage = {
  kind: "mesh",
  trustDomain: "store.example",
  egress: "allow",
  removed: [],
  roots: "root",
};
const rules = (service: string, tag = "r1"): FeedMessage => ({
  kind: "rules",
  service,
  tag,
  rules: meshService(service),
  plugins: [],
});
const instances = (service: string, tag: string, all: readonly Instance[]): FeedMessage => ({
  kind: "instances",
  service,
  tag,
  instances: all,
});

function takeAll(view: MeshView, messages: readonly FeedMessage[]) {
  return messages.map((message) => view.take(message)).at(-1);
}

describe("MeshView", () => {
  test("knows nothing before the first live, and then all of it at once", () => {
    const view = new MeshView();
    takeAll(view, [mesh, rules("payments"), instances("payments", "i1", [instance("a")])]);
    expect(view.knowledge).toBeNull();
    expect(view.take({ kind: "live", version: 4 })).toEqual({ rules: "changed", instances: ["payments"] });
    expect(view.knowledge?.version).toBe(4);
    expect(view.service("payments")?.instances?.list).toEqual([instance("a")]);
  });

  test("says that only instances changed, and what a new document changed", () => {
    const view = new MeshView();
    const start = [mesh, rules("payments"), instances("payments", "i1", [instance("a"), instance("b")])];
    takeAll(view, [...start, { kind: "live", version: 1 }]);
    const put = [instance("c"), instance("a", { state: "draining" })];
    const changed: FeedMessage = { kind: "changed", service: "payments", tag: "i2", put, gone: ["b"] };
    expect(takeAll(view, [changed, { kind: "live", version: 1 }])).toEqual({
      rules: "same",
      instances: ["payments"],
    });
    expect(view.service("payments")?.instances?.list).toEqual([
      instance("a", { state: "draining" }),
      instance("c"),
    ]);
    expect(takeAll(view, [rules("payments", "r2"), { kind: "live", version: 2 }])).toEqual({
      rules: "changed",
      instances: [],
    });
    const removed: FeedMessage = { ...mesh, removed: ["spiffe://store.example/old"] };
    expect(takeAll(view, [removed, { kind: "live", version: 3 }])).toEqual({
      rules: "changed",
      instances: [],
    });
  });

  test("what came before a broken connection's live is forgotten, and what is known is not asked for again", () => {
    const view = new MeshView();
    takeAll(view, [
      ...[mesh, rules("payments"), instances("payments", "i1", [instance("a")])],
      { kind: "live", version: 1 },
    ]);
    takeAll(view, [rules("payments", "r2"), instances("payments", "i2", [])]);
    expect(view.reconnecting(["payments", "products"])).toEqual({
      payments: { rules: "r1", instances: "i1" },
    });
    view.take({ kind: "live", version: 1 });
    expect(view.service("payments")?.instances?.tag).toBe("i1");
  });

  test("a change of what it never heard of is a fault", () => {
    const view = new MeshView();
    const changed: FeedMessage = { kind: "changed", service: "payments", tag: "i2", put: [], gone: ["b"] };
    expect(() => view.take(changed)).toThrow(FeedFault);
    expect(() => view.take({ kind: "live", version: 1 })).toThrow("which mesh");
  });

  test("forgets services that are not used any more; one may be called as every object's own parts", () => {
    const view = new MeshView();
    expect(view.service("constructor")).toBeNull();
    const names = ["payments", "__proto__", "constructor"];
    takeAll(view, [
      mesh,
      ...names.flatMap((name) => [rules(name), instances(name, "i1", [])]),
      { kind: "live", version: 1 },
    ]);
    expect(view.service("__proto__")?.rules?.tag).toBe("r1");
    view.keepOnly(["constructor"]);
    expect(Object.keys(view.knowledge!.services)).toEqual(["constructor"]);
  });

  test("what it knows survives text and back", () => {
    const view = new MeshView();
    takeAll(view, [
      ...[mesh, rules("payments"), instances("payments", "i1", [instance("a")])],
      { kind: "live", version: 1 },
    ]);
    const again = new MeshView(JSON.parse(JSON.stringify(view.knowledge)));
    expect(again.knowledge).toEqual(view.knowledge);
    expect(again.reconnecting(["payments"])).toEqual(view.reconnecting(["payments"]));
  });
});

describe("MeshView beside a coordinator whose connection breaks", () => {
  const ids = ["a", "b", "c", "d"];
  const state = fc.uniqueArray(
    fc.record({ id: fc.constantFrom(...ids), weight: fc.integer({ min: 1, max: 3 }) }),
    { selector: ({ id }) => id },
  );
  /** After each change the connection may break after so many of its messages. */
  const step = fc.record({ next: state, breaksAfter: fc.option(fc.integer({ min: 0, max: 2 })) });

  test("after any changes and breaks it holds the last complete state", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const view = new MeshView();
        let current: readonly Instance[] = [];
        let tag = 0;
        const told = new Map<string, readonly Instance[]>();
        let sent: string | null = null;
        /** What a coordinator sends to a node that has the instances of this tag. */
        const difference = (): FeedMessage => {
          const before = sent === null ? undefined : told.get(sent);
          if (before === undefined) return instances("payments", String(tag), current);
          const put = current.filter((one) => !before.some((old) => Bun.deepEquals(old, one)));
          const gone = before.map(({ id }) => id).filter((id) => !current.some((one) => one.id === id));
          return { kind: "changed", service: "payments", tag: String(tag), put, gone };
        };
        const connect = () => {
          sent = view.reconnecting(["payments"]).payments?.instances ?? null;
          takeAll(view, [mesh, rules("payments"), difference(), { kind: "live", version: tag }]);
          sent = String(tag);
        };
        told.set("0", []);
        connect();
        for (const { next, breaksAfter } of steps) {
          current = next.map(({ id, weight }) => instance(id, { weight }));
          tag += 1;
          told.set(String(tag), current);
          const messages: FeedMessage[] = [difference(), { kind: "live", version: tag }];
          takeAll(view, messages.slice(0, breaksAfter ?? messages.length));
          sent = String(tag);
          if (breaksAfter !== null) connect();
          expect(view.knowledge?.version).toBe(tag);
          expect(new Set(view.service("payments")?.instances?.list)).toEqual(new Set(current));
        }
      }),
    );
  });
});
