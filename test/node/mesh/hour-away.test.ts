/** A whole node in a mesh, in virtual time, whose coordinator is away: what it goes on with, and what it says. */
import { afterEach, expect, test } from "bun:test";
import { certificates } from "../../../src/host/certificates/node.ts";
import type { PrivateFolder } from "../../../src/machine.ts";
import type { Credentials, FeedMessage } from "../../../src/mesh.ts";
import { CoordinatorFault } from "../../../src/node/mesh/coordinator.ts";
import { MeshMember } from "../../../src/node/mesh/mesh-member.ts";
import { Registry } from "../../../src/node/service-watch/registry.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";
import { Authority, type Pair } from "../../certificates.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { FakeCoordinator, settled } from "./fake-coordinator.ts";
import { instance, meshService } from "./nouns.ts";

const hourMs = 3_600_000;
const authority = await Authority.make("CN=mesh root");
const identity = "spiffe://store.example/storefront";
const leaf = (endsDays: number) =>
  authority.issue({ uris: [identity], names: ["storefront.mesh"], startsDays: 0, endsDays });

/** The clock of the wall as the certificates have it, which are made for today. */
class TodayClock extends VirtualClock {
  readonly #startEpochMs = Date.now();
  override epochMs(): number {
    return this.#startEpochMs + this.now();
  }
}

const everything: readonly FeedMessage[] = [
  { kind: "mesh", trustDomain: "store.example", egress: "allow", removed: [], roots: authority.certificate },
  { kind: "rules", service: "storefront", tag: "r1", rules: meshService("storefront"), plugins: [] },
  { kind: "rules", service: "payments", tag: "r2", rules: meshService("payments"), plugins: [] },
  { kind: "instances", service: "payments", tag: "i1", instances: [instance("a")] },
  { kind: "live", version: 1 },
];

const opened: MeshMember[] = [];
afterEach(async () => {
  for (const member of opened.splice(0)) await member.close();
});

async function node() {
  const clock = new TodayClock();
  const coordinator = new FakeCoordinator();
  const { log, logged } = new Recorders(() => {});
  const registry = new Registry();
  const kept = new Map<string, string>();
  const folder: PrivateFolder = {
    read: async (name) => kept.get(name) ?? null,
    replace: async (name, text) => void kept.set(name, text),
    release: () => {},
  };
  // None is made in virtual time, which would not wait for it.
  const pairs = [await leaf(1), await leaf(3)];
  let coming: Pair;
  const vouch = async (): Promise<Credentials> => {
    if (!coordinator.reachable) throw new CoordinatorFault("unreachable", "connection refused", "later");
    const facts = { trustDomain: "store.example", identity, startsEpochMs: 0, expiresEpochMs: 0 };
    return { ...facts, certificate: coming.certificate, roots: authority.certificate };
  };
  const member = await MeshMember.open(
    {
      ...{ clock, log, registry, certificates, random: new SeededRandom(1) },
      coordinator: { join: vouch, renew: vouch, lease: coordinator.lease, feed: coordinator.open },
      tryFilters: async () => [],
      async makeKey() {
        coming = pairs.length > 1 ? pairs.shift()! : pairs[0]!;
        return { key: coming.key, request: "a request" };
      },
    },
    {
      ...{ service: "storefront", plugins: "yes", folder },
      subscribed: () => ["storefront", "payments"],
      changed: () => {},
      unchanged: () => {},
    },
  );
  opened.push(member);
  const begun = member.begin(async () => "a token");
  await settled();
  for (let turn = 0; coordinator.feeds.length === 0 && turn < 1000; turn++) await Bun.sleep(1);
  coordinator.feeds[0]!.send(...everything);
  await begun;
  expect(await member.lease.put([instance("s")])).toBe("told");
  const pass = async (ms: number, stepMs: number) => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(left, stepMs));
      await settled();
    }
  };
  return { coordinator, member, registry, logged, pass };
}

test("a coordinator that is away for an hour is missed by nobody but those who look, and found again", async () => {
  const { coordinator, member, registry, logged, pass } = await node();
  const before = registry.endpoints("payments");
  expect(before).toHaveLength(1);
  const { knowledge } = member;
  const { certificate } = member.own;
  coordinator.reachable = false;
  coordinator.feeds[0]!.send(new Error("connection reset"));
  await pass(hourMs, 1_000);
  // What requests are served by is as it was.
  expect(registry.endpoints("payments")).toEqual(before);
  expect(member.knowledge).toEqual(knowledge);
  expect(member.own.certificate).toBe(certificate);
  expect(member.warnings()).toEqual([
    expect.stringMatching(/^renewing the lease of this node fails for 3[56]\d\d s: connection refused$/),
    expect.stringMatching(/^the feed of the mesh fails for 3[56]\d\d s: connection refused$/),
  ]);
  expect(logged.filter(({ level }) => level === "error")).toEqual([]);
  expect(logged.length).toBeLessThan(20);

  coordinator.reachable = true;
  await pass(30_000, 1_000);
  expect(coordinator.leases.at(-1)?.instances).toEqual([instance("s")]);
  const { known } = coordinator.feeds.at(-1)!.request;
  expect(known.payments).toEqual({ rules: "r2", instances: "i1" });
  coordinator.feeds.at(-1)!.send(everything[0]!, { kind: "live", version: 1 });
  await settled();
  expect(member.warnings()).toEqual([]);
  expect(registry.endpoints("payments")).toEqual(before);
});

test("one that stays away is said loudly when the certificate is about to end, and when it has", async () => {
  const { coordinator, member, registry, logged, pass } = await node();
  coordinator.reachable = false;
  coordinator.feeds[0]!.send(new Error("connection reset"));
  await pass(13 * hourMs, 60_000);
  expect(member.warnings()[0]).toMatch(/ends at .*; renewing it fails: connection refused/);
  await pass(12 * hourMs, 60_000);
  const loud = logged.filter(({ level }) => level === "error").map(({ message }) => message);
  expect(loud.at(-1)).toContain("nobody in the mesh believes it");
  expect(registry.endpoints("payments")).toHaveLength(1);
});
