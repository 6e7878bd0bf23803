import { describe, expect, test } from "bun:test";
import { certificates } from "../../../src/host/certificates/node.ts";
import type { PrivateFolder } from "../../../src/machine.ts";
import { Sidecar, tellMsMax } from "../../../src/node/mesh/sidecar.ts";
import { Registry } from "../../../src/node/service-watch/registry.ts";
import { Recorders } from "../../../src/testing/recorders.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { FakeCoordinator, settled } from "./fake-coordinator.ts";
import { meshService } from "./nouns.ts";

const credentials = {
  ...{ key: "key", certificate: "certificate", roots: "roots", trustDomain: "store.example" },
  ...{ identity: "spiffe://store.example/payments", startsEpochMs: 0, obtainedEpochMs: 0 },
  expiresEpochMs: 4_000_000_000_000,
};
const mesh = { trustDomain: "store.example", egress: "deny", removed: [], roots: "roots" };
const kept = (value: unknown) => JSON.stringify({ format: 1, kept: value });
const bind = (port: number) => ({ host: "127.0.0.1", port });

interface Setting {
  /** Why its app does not answer. */
  readonly appProblem?: string;
  /** To whom the filters beside its app send. */
  readonly others?: readonly string[];
}

/** Started again: it is somebody already, and knows its mesh. `find` says where this machine is reached. */
async function sidecarWith(find: () => Promise<string>, { appProblem, others = [] }: Setting = {}) {
  const clock = new VirtualClock();
  const recorders = new Recorders(() => {});
  const fake = new FakeCoordinator();
  const files = new Map([
    ["credentials.json", kept(credentials)],
    [
      "mesh.json",
      kept({ version: 1, mesh, services: others.length === 0 ? {} : { payments: calling(others) } }),
    ],
  ]);
  const folder: PrivateFolder = {
    read: async (name) => files.get(name) ?? null,
    replace: async () => {},
    release() {},
  };
  const never = () => Promise.reject(new Error("it is somebody already"));
  const sidecar = new Sidecar(
    {
      ...{ clock, random: new SeededRandom(1), log: recorders.log, certificates, registry: new Registry() },
      coordinator: { join: never, renew: never, lease: fake.lease, feed: fake.open },
      makeKey: never,
      tryFilters: async () => [],
      openFolder: async () => folder,
      probe: async () => appProblem ?? null,
      ownAddress: find,
      findToken: never,
    },
    {
      role: {
        ...{ service: "payments", app: bind(8080), outbound: bind(4140), admin: bind(0) },
        inbound: { host: "0.0.0.0", port: 4143 },
        ...{ zone: null, drainMs: 0, log: { level: "info", format: "json" }, upstreams: [] },
      },
      coordinators: [],
      ...{ state: ".clearway/payments", plugins: "yes", version: null, advertised: null },
    },
  );
  const { snapshot } = await sidecar.load(1);
  sidecar.serves(snapshot!);
  await settled();
  const pass = async (ms: number) => {
    clock.advance(ms);
    await settled();
  };
  return { sidecar, pass, fake, leases: fake.leases };
}

function calling(others: readonly string[]) {
  const callee = { mtls: "strict", inbound: [], others, healthCheck: null } as const;
  const rules = { tag: "1", service: meshService("payments", { callee }), plugins: [] };
  return { rules, instances: { tag: "1", list: [] } };
}

test("a node that uses more services than it may hear of says so, and which it knows nothing of", async () => {
  const others = Array.from({ length: 1_001 }, (_, index) => `s${index + 1}`);
  const { sidecar, fake } = await sidecarWith(async () => "10.0.0.7", { others });
  expect(fake.feeds[0]!.request.services).toHaveLength(1_000);
  expect(sidecar.warnings()).toEqual([
    "this node uses more than 999 services of its mesh, so it hears nothing of s1000 and 1 more: divide what it calls among several nodes",
  ]);
  await sidecar.close();
});

test("an app is registered when the machine knows where it is reached, although it did not when the app answered", async () => {
  let known: string | null = null;
  const { sidecar, pass, leases } = await sidecarWith(async () => {
    if (known === null) throw new Error("getaddrinfo EAI_AGAIN coordinator.internal");
    return known;
  });
  expect(leases.length).toBe(0);
  expect(sidecar.warnings()).toEqual([
    "finding this node's own address fails for 0 s: getaddrinfo EAI_AGAIN coordinator.internal",
  ]);
  await pass(1_000);
  known = "10.0.0.7";
  await pass(1_000);
  expect(leases.at(-1)?.instances).toMatchObject([{ address: { host: "10.0.0.7", port: 4143 } }]);
  expect(sidecar.warnings()).toEqual([]);
  await sidecar.close();
});

test("a node leaves from where it was reached, also when the machine does not know it any more", async () => {
  let known = true;
  const { sidecar, leases } = await sidecarWith(async () => {
    if (known) return "10.0.0.7";
    throw new Error("getaddrinfo EAI_AGAIN coordinator.internal");
  });
  known = false;
  const left = sidecar.leave(30_000);
  await settled();
  expect(leases.at(-1)?.instances).toMatchObject([{ address: { host: "10.0.0.7" }, state: "draining" }]);
  expect(await left).toBe("told");
  await sidecar.close();
  expect(leases.at(-1)?.instances).toEqual([]);
});

describe("a sidecar that leaves", () => {
  test("hears that its callers were told when the coordinator answers, however late within its time", async () => {
    const { sidecar, pass, fake } = await sidecarWith(async () => "10.0.0.7");
    await pass(0);
    const gate = Promise.withResolvers<void>();
    fake.gate = gate.promise;
    const left = sidecar.leave(30_000);
    await pass(tellMsMax - 100);
    expect(fake.leases.at(-1)?.instances).toMatchObject([{ state: "draining" }]);
    gate.resolve();
    expect(await left).toBe("told");
  });

  test("does not wait for a coordinator that does not answer, or longer than it may", async () => {
    for (const [mayMs, waitsMs] of [
      [30_000, tellMsMax],
      [700, 700],
    ] as const) {
      const { sidecar, pass, fake } = await sidecarWith(async () => "10.0.0.7");
      await pass(0);
      fake.gate = new Promise(() => {});
      const left: string[] = [];
      void sidecar.leave(mayMs).then((callers) => left.push(callers));
      await settled();
      await pass(waitsMs - 1);
      expect(left).toEqual([]);
      await pass(1);
      expect(left).toEqual(["not told"]);
    }
  });

  test("knows at once that nobody was told where no coordinator is", async () => {
    const { sidecar, pass, fake } = await sidecarWith(async () => "10.0.0.7");
    await pass(0);
    fake.reachable = false;
    expect(await sidecar.leave(30_000)).toBe("not told");
  });

  test("says by which listener it is called as long as its app was ever there", async () => {
    const { sidecar, fake } = await sidecarWith(async () => "10.0.0.7", { appProblem: "connection refused" });
    expect(sidecar.inboundListener).toBeNull();
    expect(await sidecar.leave(30_000)).toBe("told");
    expect(fake.leases).toEqual([]);
    const called = await sidecarWith(async () => "10.0.0.7");
    expect(called.sidecar.inboundListener).toBe("inbound");
  });
});
