/** A node that drains hears from the coordinator when its callers were told: neither before, nor much later. */
import { beforeEach, describe, expect, test } from "bun:test";
import { Feed, gatherMs } from "../../../src/coordinator/feed/feed.ts";
import { toldMsMax } from "../../../src/coordinator/feed/tellings.ts";
import { Registry } from "../../../src/coordinator/registry/registry.ts";
import type { InstanceState } from "../../../src/mesh.ts";
import { SeededRandom } from "../../seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { instance } from "../mesh-documents.ts";
import { ListeningNode } from "./listening-node.ts";

const mesh = { trustDomain: "store.example", egress: "allow", removed: [], roots: "PEM" } as const;

let clock: VirtualClock;
let registry: Registry;
let feed: Feed;
let storefront: ListeningNode;
let accounts: ListeningNode;

beforeEach(async () => {
  clock = new VirtualClock();
  registry = new Registry({ clock, changed: (change) => feed.instancesChanged(change) });
  feed = new Feed({ clock, random: new SeededRandom(1), registry, mesh });
  storefront = new ListeningNode("s1", "storefront", ["payments"]);
  accounts = new ListeningNode("a1", "accounts", ["payments", "products"]);
  storefront.connect(feed);
  accounts.connect(feed);
  put("p1", "healthy");
  clock.advance(gatherMs);
  await storefront.heard();
  await accounts.heard();
  clock.advance(1_000);
});

function put(id: string, state: InstanceState): void {
  registry.renew("payments", { node: id, instances: [instance(id, "payments", { state })] });
}

/** Whether the callers of payments were told, as its node would hear. */
function asked(service = "payments"): { readonly answered: () => Promise<boolean> } {
  let answered = false;
  void feed.told(service).then(() => {
    answered = true;
  });
  return {
    async answered() {
      for (let turn = 0; turn < 3; turn++) await Promise.resolve();
      return answered;
    },
  };
}

describe("Feed.told", () => {
  test("waits until every node that uses the service was sent the change, and reads on", async () => {
    put("p1", "draining");
    const told = asked();
    expect(await told.answered()).toBe(false);
    clock.advance(gatherMs);
    expect(await told.answered()).toBe(false);
    await storefront.heard();
    expect(await told.answered()).toBe(false);
    await accounts.heard();
    expect(await told.answered()).toBe(true);
    expect(accounts.view.service("payments")?.instances?.list).toMatchObject([{ state: "draining" }]);
  });

  test("waits a second for one that does not read, and no longer", async () => {
    put("p1", "draining");
    const told = asked();
    clock.advance(gatherMs);
    await storefront.heard();
    clock.advance(toldMsMax - gatherMs - 1);
    expect(await told.answered()).toBe(false);
    clock.advance(1);
    expect(await told.answered()).toBe(true);
  });

  test("does not wait for a node that is gone", async () => {
    put("p1", "draining");
    const told = asked();
    clock.advance(gatherMs);
    await storefront.heard();
    accounts.disconnect("at once");
    expect(await told.answered()).toBe(true);
  });

  test("waits for nobody where all have heard, or nobody uses the service", async () => {
    put("p1", "draining");
    clock.advance(gatherMs);
    await storefront.heard();
    await accounts.heard();
    expect(await asked().answered()).toBe(true);
    expect(await asked("orders").answered()).toBe(true);
    expect(await asked("products").answered()).toBe(true);
  });

  test("waits for the change that it is asked about, also while others wait for one before", async () => {
    put("p1", "draining");
    const first = asked();
    clock.advance(gatherMs);
    await storefront.heard();
    put("p2", "draining");
    const second = asked();
    // What accounts reads here was sent before p2 was there.
    await accounts.heard();
    expect(await second.answered()).toBe(false);
    clock.advance(2 * gatherMs);
    await storefront.heard();
    await accounts.heard();
    expect([await first.answered(), await second.answered()]).toEqual([true, true]);
  });

  test("a coordinator that ends keeps nobody waiting", async () => {
    put("p1", "draining");
    const told = asked();
    feed.close();
    expect(await told.answered()).toBe(true);
  });
});
