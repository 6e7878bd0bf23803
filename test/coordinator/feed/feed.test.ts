import { beforeEach, describe, expect, test } from "bun:test";
import { usedServicesMax } from "../../../src/config/limits.ts";
import { beatEveryMs, Feed, gatherMs, gatherMsPerNode } from "../../../src/coordinator/feed/feed.ts";
import { serviceRules } from "../../../src/coordinator/feed/service-rules.ts";
import { Topic } from "../../../src/coordinator/feed/topic.ts";
import { Refusal } from "../../../src/coordinator/refusal.ts";
import { leaseMs, Registry } from "../../../src/coordinator/registry/registry.ts";
import type { FeedMessage, Instance } from "../../../src/mesh.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { instance, meshService } from "../mesh-documents.ts";
import { ListeningNode } from "./listening-node.ts";

const mesh = { trustDomain: "store.example", egress: "allow", removed: [], roots: "PEM" } as const;
const limits = { subscribers: 3, perService: 3, services: 4, unknownPerService: 12, unknownAlways: 1 };

let clock: VirtualClock;
let registry: Registry;
let feed: Feed;
let storefront: ListeningNode;

beforeEach(() => {
  clock = new VirtualClock();
  registry = new Registry({ clock, changed: (change) => feed.instancesChanged(change) });
  feed = new Feed({ clock, random: new SeededRandom(1), registry, mesh, limits });
  storefront = new ListeningNode("s1", "storefront", ["storefront", "payments"]);
});

function register(service: string, ...ids: (string | Instance)[]): void {
  const instances = ids.map((id) => (typeof id === "string" ? instance(id, service) : id));
  registry.renew(service, { node: "n", instances });
}

function kinds(messages: readonly FeedMessage[]): string[] {
  return messages.map((message) =>
    "service" in message ? `${message.kind} ${message.service}` : message.kind,
  );
}

function reasonOf(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return error instanceof Refusal ? error.reason : String(error);
  }
}

describe("what a node is told", () => {
  test("first everything of what it uses, and nothing else, up to one live", async () => {
    feed.documentChanged(3, { services: [meshService("payments"), meshService("accounts")], plugins: [] });
    register("payments", "p1", "p2");
    register("accounts", "a1");
    storefront.connect(feed);
    const heard = await storefront.heard();
    expect(kinds(heard)).toEqual([
      "mesh",
      "rules storefront",
      "instances storefront",
      "rules payments",
      "instances payments",
      "live",
    ]);
    expect(heard[1]).toMatchObject({ rules: null });
    expect(heard[3]).toMatchObject({ rules: { name: "payments" } });
    expect(heard[4]).toMatchObject({ instances: [{ id: "p1" }, { id: "p2" }] });
    expect(heard[5]).toEqual({ kind: "live", version: 3 });
  });

  test("one instance of 10,000 that changes is one message with that instance, and only for its service's callers", async () => {
    for (let node = 0; node < 100; node++) {
      const instances = Array.from({ length: 100 }, (_, at) => instance(`p${node * 100 + at}`, "payments"));
      registry.renew("payments", { node: `n${node}`, instances });
    }
    const other = new ListeningNode("a1", "accounts", ["accounts"]);
    storefront.connect(feed);
    other.connect(feed);
    await storefront.heard();
    await other.heard();
    const before = feed.readings.sentBytes;
    const instances = Array.from({ length: 100 }, (_, at) =>
      instance(`p${at}`, "payments", at === 7 ? { state: "unhealthy" } : {}),
    );
    registry.renew("payments", { node: "n0", instances });
    clock.advance(gatherMs);
    const heard = await storefront.heard();
    expect(kinds(heard)).toEqual(["changed payments", "live"]);
    expect(heard[0]).toMatchObject({ put: [instance("p7", "payments", { state: "unhealthy" })], gone: [] });
    expect(await other.heard()).toEqual([]);
    expect(feed.readings.sentBytes - before).toBeLessThan(400);
  });

  test("what happens within 50 ms is told together, what undoes itself is not told at all", async () => {
    storefront.connect(feed);
    await storefront.heard();
    register("payments", "p1");
    clock.advance(gatherMs / 2);
    register("payments", "p1", "p2");
    registry.renew("storefront", { node: "n", instances: [instance("s1", "storefront")] });
    registry.renew("storefront", { node: "n", instances: [] });
    clock.advance(gatherMs / 2);
    expect(kinds(await storefront.heard())).toEqual(["changed payments", "live"]);
    expect(storefront.view.service("payments")?.instances?.list).toHaveLength(2);
  });

  test("the more nodes were told something, the longer what follows is gathered; a single change is not held up", async () => {
    const wide = new Feed({ clock, random: new SeededRandom(1), registry, mesh });
    feed = wide;
    const nodes = Array.from(
      { length: 1000 },
      (_, at) => new ListeningNode(`n${at}`, "storefront", ["payments"]),
    );
    for (const node of nodes) node.connect(wide);
    const [first] = nodes;
    await first!.heard();
    register("payments", "p1");
    clock.advance(gatherMs);
    expect(kinds(await first!.heard())).toEqual(["changed payments", "live"]);
    register("payments", "p1", "p2");
    clock.advance(gatherMs + 1000 * gatherMsPerNode - 1);
    expect(await first!.heard()).toEqual([]);
    clock.advance(1);
    expect(kinds(await first!.heard())).toEqual(["changed payments", "live"]);
    clock.advance(1000);
    register("payments", "p1");
    clock.advance(gatherMs);
    expect(kinds(await first!.heard())).toEqual(["changed payments", "live"]);
  });

  test("a killed instance is said to be gone when its lease ends, a drained one within 50 ms", async () => {
    storefront.connect(feed);
    registry.renew("payments", { node: "killed", instances: [instance("p1", "payments")] });
    registry.renew("payments", { node: "drained", instances: [instance("p2", "payments")] });
    await storefront.heard();
    registry.renew("payments", { node: "drained", instances: [] });
    clock.advance(gatherMs);
    expect(await storefront.heard()).toMatchObject([{ put: [], gone: ["p2"] }, { kind: "live" }]);
    clock.advance(leaseMs);
    const gone = (await storefront.heard()).filter(({ kind }) => kind === "changed");
    expect(gone).toMatchObject([{ put: [], gone: ["p1"] }]);
  });

  test("a beat every 5 s, unless something else was said", async () => {
    storefront.connect(feed);
    await storefront.heard();
    clock.advance(beatEveryMs);
    expect(await storefront.heard()).toEqual([{ kind: "beat" }]);
    clock.advance(beatEveryMs);
    expect(await storefront.heard()).toEqual([{ kind: "beat" }]);
  });

  test("a new version of the document: the rules that are other ones, and to everybody its number", async () => {
    const services = (timeoutMs: number, line: number) => [
      meshService("storefront", { line }),
      meshService("payments", { timeoutMs, line }),
    ];
    feed.documentChanged(1, { services: services(1000, 1), plugins: [] });
    const other = new ListeningNode("a1", "accounts", ["accounts"]);
    storefront.connect(feed);
    other.connect(feed);
    await storefront.heard();
    await other.heard();
    feed.documentChanged(2, { services: services(2000, 1), plugins: [] });
    expect(kinds(await storefront.heard())).toEqual(["rules payments", "live"]);
    expect(await other.heard()).toEqual([{ kind: "live", version: 2 }]);
    feed.documentChanged(3, { services: services(2000, 9), plugins: [] });
    expect(await storefront.heard()).toEqual([{ kind: "live", version: 3 }]);
  });

  test("removed identities, at once", async () => {
    storefront.connect(feed);
    await storefront.heard();
    feed.meshChanged({ ...mesh, removed: ["spiffe://store.example/accounts"] });
    expect(await storefront.heard()).toMatchObject([
      { kind: "mesh", removed: ["spiffe://store.example/accounts"] },
      { kind: "live" },
    ]);
  });

  test("callers do not learn whom a service lets in, nor its inbound filters; its own nodes do", async () => {
    const payments = new ListeningNode("p1", "payments", ["payments"]);
    feed.documentChanged(1, { services: [meshService("payments", { inbound: ["policy"] })], plugins: [] });
    storefront.connect(feed);
    payments.connect(feed);
    await storefront.heard();
    await payments.heard();
    expect(payments.view.service("payments")?.rules?.service?.callee?.inbound).toHaveLength(1);
    expect(storefront.view.service("payments")?.rules?.service?.callee).toEqual({
      mtls: "strict",
      inbound: [],
      others: [],
      healthCheck: null,
    });
    feed.documentChanged(2, {
      services: [meshService("payments", { inbound: ["policy", "jwt"] })],
      plugins: [],
    });
    expect(kinds(await payments.heard())).toEqual(["rules payments", "live"]);
    expect(kinds(await storefront.heard())).toEqual(["live"]);
  });

  test("a plugin goes to those whose filters name it, again when its code is another", async () => {
    const plugin = (name: string, version: string) =>
      ({ name, version, source: { kind: "bundle", text: `// ${version}`, imports: [] } }) as const;
    const services = [meshService("payments", { inbound: ["./tenant.ts"] })];
    const payments = new ListeningNode("p1", "payments", ["payments"]);
    payments.connect(feed);
    feed.documentChanged(1, { services, plugins: [plugin("./tenant.ts", "1"), plugin("./other.ts", "1")] });
    await payments.readAll();
    expect(payments.view.service("payments")?.rules?.plugins).toEqual([plugin("./tenant.ts", "1")]);
    await payments.heard();
    feed.documentChanged(2, { services, plugins: [plugin("./tenant.ts", "1"), plugin("./other.ts", "2")] });
    expect(kinds(await payments.heard())).toEqual(["live"]);
    feed.documentChanged(3, { services, plugins: [plugin("./tenant.ts", "2"), plugin("./other.ts", "2")] });
    expect(kinds(await payments.heard())).toEqual(["rules payments", "live"]);
  });
});

describe("a node that comes back", () => {
  beforeEach(async () => {
    register("payments", "p1", "p2", "p3");
    storefront.connect(feed);
    await storefront.heard();
    storefront.disconnect("at once");
  });

  test("is not sent again what it has", async () => {
    storefront.connect(feed);
    expect(kinds(await storefront.heard())).toEqual(["mesh", "live"]);
  });

  test("is sent what changed meanwhile", async () => {
    register("payments", "p1", "p2");
    clock.advance(1000);
    register("payments", "p1", "p2", "p4");
    storefront.connect(feed);
    const heard = await storefront.heard();
    expect(kinds(heard)).toEqual(["mesh", "changed payments", "live"]);
    expect(heard[1]).toMatchObject({ put: [{ id: "p4" }], gone: ["p3"] });
  });

  test("is sent all instances when too much changed to be remembered", async () => {
    for (let at = 0; at < 100; at++) {
      register("payments", "p1", `q${at}`);
      clock.advance(gatherMs);
    }
    storefront.connect(feed);
    expect(kinds(await storefront.heard())).toEqual(["mesh", "instances payments", "live"]);
    expect(storefront.view.service("payments")?.instances?.list.map(({ id }) => id)).toEqual(["p1", "q99"]);
  });

  test("to a coordinator that started anew is not sent what is the same there", async () => {
    const again = new Registry({ clock, changed: () => {} });
    again.load(["p3", "p1", "p2"].map((id) => ({ node: "n", instance: instance(id, "payments") })));
    storefront.connect(new Feed({ clock, random: new SeededRandom(2), registry: again, mesh, limits }));
    expect(kinds(await storefront.heard())).toEqual(["mesh", "live"]);
  });
});

describe("bounds", () => {
  test("a slow reader is sent the newest state, not every one that it missed", async () => {
    storefront.connect(feed);
    await storefront.heard();
    await storefront.read();
    for (let weight = 1; weight <= 50; weight++) {
      register("payments", instance("p1", "payments", { weight }));
      clock.advance(gatherMs);
    }
    await storefront.read();
    const first = storefront.messages.splice(0);
    expect(first).toMatchObject([{ kind: "changed", put: [{ weight: 1 }] }, { kind: "live" }]);
    expect(await storefront.heard()).toMatchObject([
      { kind: "changed", put: [{ weight: 50 }] },
      { kind: "live" },
    ]);
  });

  test("a node that does not read for a minute is cut off and counted, one that reads is not", async () => {
    const reader = new ListeningNode("a1", "accounts", ["accounts"]);
    storefront.connect(feed);
    reader.connect(feed);
    await reader.heard();
    for (let passedMs = 0; passedMs <= 65_000; passedMs += beatEveryMs) {
      clock.advance(beatEveryMs);
      await reader.heard();
    }
    expect(feed.readings).toMatchObject({ subscribers: 1, cutOff: 1 });
    expect(reader.connected).toBe(true);
  });

  test("a feed ends between one and two hours, so that its node shows its certificate again", async () => {
    storefront.connect(feed);
    let hours = 0;
    while (storefront.connected && hours < 3) {
      for (let passedMs = 0; passedMs < 3_600_000; passedMs += 30_000) {
        clock.advance(30_000);
        await storefront.heard();
      }
      hours += 1;
    }
    expect(hours).toBe(2);
  });

  test("a node that subscribes again ends its former feed", async () => {
    storefront.connect(feed);
    await storefront.heard();
    storefront.disconnect("not yet");
    storefront.connect(feed);
    expect(feed.readings.subscribers).toBe(1);
  });

  test("each maximum holds at its number and not one past it", () => {
    const subscribe = (node: string, services: string[]) =>
      reasonOf(() =>
        feed.subscribe({ service: "storefront", node }, { node, services, known: {} }, () => {}),
      );
    expect(subscribe("a", ["1", "2", "3", "4"])).toBeNull();
    expect(subscribe("b", ["1", "2", "3", "4", "5"])).toBe("too-many-subscriptions");
    expect(subscribe("b", [])).toBeNull();
    expect(subscribe("c", [])).toBeNull();
    expect(subscribe("d", [])).toBe("too-many-subscriptions");
    expect(subscribe("c", ["1"])).toBeNull();
  });

  test("the feeds of a removed service's nodes end at once, and only they", async () => {
    const other = new ListeningNode("a1", "accounts", ["accounts"]);
    storefront.connect(feed);
    other.connect(feed);
    await storefront.heard();
    await other.heard();
    feed.cutOff("storefront");
    await storefront.read();
    await other.read();
    expect([storefront.connected, other.connected]).toEqual([false, true]);
  });

  test("a line is made once, whoever is sent it", () => {
    register("payments", "p1");
    const topic = new Topic("payments", serviceRules("payments", null, []), () =>
      registry.service("payments"),
    );
    const { tag } = topic;
    register("payments", "p1", "p2");
    topic.touch(["p2"]);
    expect(topic.lineSince(tag)).toBe(topic.lineSince(tag));
    expect(topic.lineSince("")).toBe(topic.lineSince("of a former coordinator"));
  });

  test("what is forgotten is not forgotten again under its successor's name", async () => {
    register("payments", "p1");
    storefront.connect(feed);
    await storefront.heard();
    // Within one gathering: it has no instances and nobody who follows it, and then somebody who does.
    register("payments");
    storefront.disconnect("at once");
    storefront.connect(feed);
    clock.advance(gatherMs);
    await storefront.heard();
    feed.documentChanged(1, { services: [meshService("payments")], plugins: [] });
    expect(kinds(await storefront.heard())).toEqual(["rules payments", "live"]);
  });

  test("a node that uses as many services as a node may has its feed", () => {
    const all = new Feed({ clock, random: new SeededRandom(1), registry, mesh });
    const services = ["storefront", ...Array.from({ length: usedServicesMax }, (_, at) => `called-${at}`)];
    const node = "s1";
    all.subscribe({ service: "storefront", node }, { node, services, known: {} }, () => {});
    expect(all.subscribers()[0]!.services.length).toBe(1000);
    all.close();
  });

  test("what nobody asks for any more is forgotten", () => {
    storefront.connect(feed);
    storefront.disconnect("at once");
    feed.close();
    expect(feed.subscribers()).toEqual([]);
    expect(clock.waiting).toBe(0);
  });
});
