import { describe, expect, test } from "bun:test";
import { type RegisteredEndpoint, Registry } from "../../../src/node/service-watch/registry.ts";
import { FIRST_LOOKUPS_MS, GATHER_MS, ServiceWatch } from "../../../src/node/service-watch/service-watch.ts";
import type { ResolverConfig, ServiceConfig, ServiceState } from "../../../src/snapshot.ts";
import { SeededRandom } from "../../seeded-random.ts";
import {
  DecidedNames,
  dnsOf,
  endpointsAt,
  healthCheck,
  RecordedLog,
  SteppedClock,
  serviceOf,
  turns,
} from "./watching.ts";

const resolver: ResolverConfig = { servers: [], timeoutMs: 1000 };
const orders = serviceOf("orders", { dns: dnsOf("orders.test") });
const accounts = serviceOf("accounts", { dns: dnsOf("accounts.test") });

function setting() {
  const clock = new SteppedClock();
  const names = new DecidedNames(clock);
  const registry = new Registry();
  const updates: (readonly ServiceState[])[] = [];
  const resolvers: ResolverConfig[] = [];
  const problems = new Map<string, string>();
  const checked: string[] = [];
  const watch = new ServiceWatch({
    clock,
    random: new SeededRandom(1),
    log: new RecordedLog(),
    find: names.find,
    registry,
    configureResolver: (config) => void resolvers.push(config),
    lookedUp: () => {},
    checked: (service) => void checked.push(service),
    probe: async (_service, address) => problems.get("host" in address ? address.host : "") ?? null,
    update: (states) => void updates.push(states),
  });
  return {
    ...{ clock, names, registry, updates, resolvers, problems, checked, watch },
    /** Makes these services live. */
    async live(services: readonly ServiceConfig[], through = resolver): Promise<void> {
      (await watch.prepare({ services, resolver: through })).commit();
      await turns();
    },
    /** What the workers know now: `orders 10.0.0.1,10.0.0.2 -10.0.0.2:80`. */
    known(): string[] {
      return (updates.at(-1) ?? []).map(({ service, discovered, unhealthy }) => {
        const hosts = discovered?.map(({ address }) => ("host" in address ? address.host : ""));
        return [service, hosts?.join() ?? "as configured", ...unhealthy.map((one) => `-${one}`)]
          .join(" ")
          .trim();
      });
    },
  };
}

describe("ServiceWatch, before a config is live", () => {
  test("ServiceWatch looks all names up together, and tells the workers before it is done", async () => {
    const { names, watch, known, clock } = setting();
    names.addresses("orders.test", "10.0.0.1");
    names.addresses("accounts.test", "10.0.0.2");
    await watch.prepare({ services: [orders, accounts], resolver });
    expect(clock.now()).toBe(0);
    expect(known()).toEqual(["orders 10.0.0.1", "accounts 10.0.0.2"]);
  });

  test("ServiceWatch waits for slow names for so long in all, and hears of them later", async () => {
    const { names, watch, known, updates, clock } = setting();
    names.addresses("orders.test", "10.0.0.1");
    names.addresses("accounts.test", "10.0.0.2");
    names.hold("accounts.test");
    let prepared = false;
    const waiting = watch.prepare({ services: [orders, accounts], resolver }).then((config) => {
      prepared = true;
      return config;
    });
    await clock.pass(FIRST_LOOKUPS_MS - 50);
    expect(prepared).toBe(false);
    await clock.pass(50);
    (await waiting).commit();
    expect(known()).toEqual(["orders 10.0.0.1", "accounts"]);
    expect(updates.at(-1)?.[1]?.discoveryProblem).toBe("accounts.test: the first lookup has not ended yet");
    names.release();
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["orders 10.0.0.1", "accounts 10.0.0.2"]);
    expect(updates.at(-1)?.[1]?.discoveryProblem).toBeNull();
  });

  test("ServiceWatch says in words why a service has no endpoint", async () => {
    const { updates, live } = setting();
    await live([orders]);
    expect(updates.at(-1)).toEqual([
      {
        service: "orders",
        discovered: [],
        discoveryProblem: "orders.test: there is no such name (NXDOMAIN)",
        unhealthy: [],
        ejected: [],
      },
    ]);
  });

  test("ServiceWatch has nothing to tell of services that it finds nothing out about", async () => {
    const { updates, live } = setting();
    await live([serviceOf("static", { endpoints: endpointsAt("10.0.0.1") })]);
    expect(updates).toEqual([]);
  });

  test("ServiceWatch forgets what an abandoned config brought, and checks nothing of it", async () => {
    const { names, known, live, watch, clock, resolvers, checked } = setting();
    names.addresses("orders.test", "10.0.0.1");
    names.addresses("accounts.test", "10.0.0.2");
    await live([orders]);
    const other: ResolverConfig = { servers: [{ host: "10.9.9.9", port: 53 }], timeoutMs: 1000 };
    const coming = await watch.prepare({ services: [{ ...accounts, healthCheck }], resolver: other });
    expect(known()).toEqual(["orders 10.0.0.1", "accounts 10.0.0.2"]);
    expect(resolvers.at(-1)).toEqual(other);
    coming.abandon();
    expect(known()).toEqual(["orders 10.0.0.1"]);
    expect(resolvers.at(-1)).toEqual(resolver);
    names.asked.length = 0;
    await clock.pass(60_000);
    expect(new Set(names.asked)).toEqual(new Set(["orders.test"]));
    expect(checked).toEqual([]);
  });
});

describe("ServiceWatch, over a reload", () => {
  test("ServiceWatch keeps the answers of a service that stays, and does not ask again", async () => {
    const { names, known, live } = setting();
    names.addresses("orders.test", "10.0.0.1");
    names.addresses("accounts.test", "10.0.0.2");
    await live([orders, accounts]);
    names.asked.length = 0;
    await live([{ ...orders, healthCheck }]);
    expect(names.asked).toEqual([]);
    expect(known()).toEqual(["orders 10.0.0.1"]);
  });

  test("ServiceWatch keeps the old endpoints for as long as the new name has none", async () => {
    const { names, known, live, watch } = setting();
    names.addresses("orders.test", "10.0.0.1");
    await live([orders]);
    const moved = serviceOf("orders", { dns: dnsOf("moved.test") });
    const coming = await watch.prepare({ services: [moved], resolver });
    // The config with the old name serves until the new one is live.
    expect(known()).toEqual(["orders 10.0.0.1"]);
    coming.commit();
    expect(known()).toEqual(["orders"]);
  });

  test("ServiceWatch keeps what it knows when only the bounds of a lookup change", async () => {
    const { names, known, live } = setting();
    names.addresses("orders.test", "10.0.0.1");
    await live([orders]);
    names.set("orders.test", { result: "failed", problem: "nobody answers" });
    await live([serviceOf("orders", { dns: { ...dnsOf("orders.test"), refreshMaxMs: 9000 } })]);
    expect(known()).toEqual(["orders 10.0.0.1"]);
  });

  test("ServiceWatch asks again when others are to be asked", async () => {
    const { names, known, live, clock } = setting();
    names.addresses("orders.test", "10.0.0.1");
    await live([orders]);
    names.addresses("orders.test", "10.0.0.2");
    await live([orders], { servers: [{ host: "10.9.9.9", port: 53 }], timeoutMs: 1000 });
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["orders 10.0.0.2"]);
  });

  test("ServiceWatch keeps verdicts of endpoints that stay", async () => {
    const { names, known, live, problems, clock } = setting();
    names.addresses("orders.test", "10.0.0.1", "10.0.0.2");
    problems.set("10.0.0.2", "gone");
    const checkedOrders = { ...orders, healthCheck };
    await live([checkedOrders]);
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["orders 10.0.0.1,10.0.0.2 -10.0.0.2:80"]);
    await live([{ ...checkedOrders, slowStartMs: 1 }, accounts]);
    expect(known()).toEqual(["orders 10.0.0.1,10.0.0.2 -10.0.0.2:80", "accounts"]);
  });
});

describe("ServiceWatch, while it runs", () => {
  test("ServiceWatch checks endpoints that DNS names, as they come and go", async () => {
    const { names, known, live, problems, clock, watch } = setting();
    const service = { ...orders, healthCheck };
    names.addresses("orders.test", "10.0.0.1");
    problems.set("10.0.0.2", "gone");
    await live([service]);
    names.addresses("orders.test", "10.0.0.2");
    await clock.pass(10_000 + GATHER_MS * 2);
    expect(known()).toEqual(["orders 10.0.0.2 -10.0.0.2:80"]);
    expect([...watch.knowledge(service).health.keys()]).toEqual(["10.0.0.2:80"]);
  });

  test("ServiceWatch gathers changes that come together", async () => {
    const { names, updates, live, clock } = setting();
    names.addresses("orders.test", "10.0.0.1");
    names.addresses("accounts.test", "10.0.0.1");
    await live([orders, accounts]);
    const before = updates.length;
    names.addresses("orders.test", "10.0.0.2");
    names.addresses("accounts.test", "10.0.0.2");
    await clock.pass(11_000);
    expect(updates.length).toBe(before + 1);
  });

  test("ServiceWatch relays ejections until they end", async () => {
    const { updates, live, clock, watch } = setting();
    const service = serviceOf("orders", {
      endpoints: endpointsAt("10.0.0.1"),
      outlierDetection: { consecutiveErrors: 5, ejectionMs: 100, ejectionMaxMs: 100, ejectedShareMax: 1 },
    });
    await live([service]);
    const untilEpochMs = clock.epochMs() + 500;
    watch.onEjections([{ service: "orders", endpoint: "10.0.0.1:80", untilEpochMs }]);
    await clock.pass(GATHER_MS);
    expect(updates.at(-1)?.[0]?.ejected).toEqual([{ endpoint: "10.0.0.1:80", untilEpochMs }]);
    await clock.pass(500);
    watch.onEjections([]);
    await clock.pass(GATHER_MS);
    expect(updates.at(-1)?.[0]?.ejected).toEqual([]);
  });

  test("ServiceWatch tells nothing after close, and has no timer left", async () => {
    const { names, updates, live, clock, watch } = setting();
    names.addresses("orders.test", "10.0.0.1");
    await live([{ ...orders, healthCheck }]);
    watch.onEjections([]);
    watch.close();
    const before = updates.length;
    names.addresses("orders.test", "10.0.0.2");
    await clock.pass(60_000);
    expect([updates.length, clock.waiting]).toEqual([before, 0]);
  });
});

describe("ServiceWatch, of services that the registry knows", () => {
  const payments = serviceOf("payments", { registry: "payments" });

  test("ServiceWatch tells the workers who is registered before the config is live", async () => {
    const { registry, known, watch, clock } = setting();
    registry.set("payments", registered("10.0.0.1", "10.0.0.2"));
    await watch.prepare({ services: [payments], resolver });
    expect(clock.now()).toBe(0);
    expect(known()).toEqual(["payments 10.0.0.1,10.0.0.2"]);
  });

  test("ServiceWatch waits for the registry's first word for so long, and hears of it later", async () => {
    const { registry, known, updates, watch, clock } = setting();
    const prepared = watch.prepare({ services: [payments], resolver });
    await clock.pass(FIRST_LOOKUPS_MS - 50);
    registry.set("payments", registered("10.0.0.1"));
    await turns();
    (await prepared).commit();
    expect(known()).toEqual(["payments 10.0.0.1"]);
    const late = watch.prepare({
      services: [payments, serviceOf("refunds", { registry: "refunds" })],
      resolver,
    });
    await clock.pass(FIRST_LOOKUPS_MS);
    (await late).commit();
    expect(updates.at(-1)?.[1]?.discoveryProblem).toBe("the registry has not said yet where refunds is");
    registry.set("refunds", []);
    await clock.pass(GATHER_MS);
    expect(updates.at(-1)?.[1]?.discoveryProblem).toBe("no instance of refunds is registered");
    registry.set("refunds", registered("10.0.0.9"));
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["payments 10.0.0.1", "refunds 10.0.0.9"]);
    expect(updates.at(-1)?.[1]?.discoveryProblem).toBeNull();
  });

  test("ServiceWatch leaves draining instances out, and says which are unwell", async () => {
    const { registry, known, live, updates, clock, watch } = setting();
    const [first, second, third] = registered("10.0.0.1", "10.0.0.2", "10.0.0.3");
    registry.set("payments", [first!, { ...second!, state: "unhealthy" }, third!]);
    await live([payments]);
    expect(known()).toEqual(["payments 10.0.0.1,10.0.0.2,10.0.0.3 -10.0.0.2:80"]);
    registry.set("payments", [first!, second!, { ...third!, state: "draining" }]);
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["payments 10.0.0.1,10.0.0.2"]);
    expect(watch.knowledge(payments).discovery).toMatchObject({
      ...{ source: "registry", name: "payments", instances: 3, unhealthy: 0, draining: 1, problem: null },
    });
    registry.set("payments", [{ ...third!, state: "draining" }]);
    await clock.pass(GATHER_MS);
    expect(updates.at(-1)?.[0]).toMatchObject({
      discovered: [],
      discoveryProblem: "every instance of payments that is registered is draining (1)",
    });
  });

  test("ServiceWatch takes the instance that is well of two at one address", async () => {
    const { registry, known, live } = setting();
    const [old, now] = [registered("10.0.0.1")[0]!, registered("10.0.0.1")[0]!];
    registry.set("payments", [now, { ...old, state: "unhealthy" }]);
    await live([payments]);
    expect(known()).toEqual(["payments 10.0.0.1"]);
    registry.set("payments", [{ ...old, state: "draining" }, now]);
    expect(known()).toEqual(["payments 10.0.0.1"]);
  });

  test("ServiceWatch keeps what the registry said over a reload, also when it is forgotten", async () => {
    const { registry, known, live, updates, clock } = setting();
    registry.set("payments", registered("10.0.0.1"));
    await live([payments]);
    const before = updates.length;
    registry.forget("payments");
    await live([{ ...payments, slowStartMs: 1 }]);
    await clock.pass(GATHER_MS);
    expect([known(), updates.length]).toEqual([["payments 10.0.0.1"], before]);
  });

  test("ServiceWatch tells of no change where the registry repeats itself, and follows nothing after close", async () => {
    const { registry, live, updates, clock, watch } = setting();
    registry.set("payments", registered("10.0.0.1", "10.0.0.2"));
    await live([payments]);
    const before = updates.length;
    registry.set("payments", registered("10.0.0.2", "10.0.0.1"));
    await clock.pass(GATHER_MS * 2);
    watch.close();
    registry.set("payments", registered("10.0.0.3"));
    await clock.pass(GATHER_MS * 2);
    expect([updates.length, clock.waiting]).toEqual([before, 0]);
  });

  test("ServiceWatch knows both who fails its own checks and who is registered as unwell", async () => {
    const { registry, known, live, problems, clock } = setting();
    const [first, second] = registered("10.0.0.1", "10.0.0.2");
    registry.set("payments", [first!, { ...second!, state: "unhealthy" }]);
    problems.set("10.0.0.1", "gone");
    await live([{ ...payments, healthCheck }]);
    await clock.pass(GATHER_MS);
    expect(known()).toEqual(["payments 10.0.0.1,10.0.0.2 -10.0.0.1:80 -10.0.0.2:80"]);
  });
});

function registered(...hosts: readonly string[]): RegisteredEndpoint[] {
  return endpointsAt(...hosts).map((config) => ({ config, state: "healthy" }));
}
