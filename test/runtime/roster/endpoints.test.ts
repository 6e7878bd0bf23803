/** Endpoints that come and go, are well or not, and stand in zones, while requests flow. */
import { afterEach, describe, expect, test } from "bun:test";
import { startLoad } from "../../../bench/load.ts";
import type { EndpointConfig, ServiceState } from "../../../src/snapshot.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import { okAnswer, type RecordingUpstream } from "../recording-upstream.ts";
import { gateway, type RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";

afterEach(closeAll);

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

function configOf({ port }: RecordingUpstream, weight = 1): EndpointConfig {
  return { address: { host: "127.0.0.1", port }, weight, zone: null, version: null };
}

function state(changes: Partial<ServiceState>): ServiceState {
  return {
    service: "shop",
    discovered: null,
    discoveryProblem: null,
    unhealthy: [],
    ejected: [],
    ...changes,
  };
}

function nameOf({ port }: RecordingUpstream): string {
  return `127.0.0.1:${port}`;
}

async function upstreams(count: number): Promise<RecordingUpstream[]> {
  const started: RecordingUpstream[] = [];
  for (let each = 0; each < count; each += 1) started.push(await upstreamWith());
  return started;
}

/** How many of so many requests each of them gets. */
async function shares(
  proxy: RunningProxy,
  services: readonly RecordingUpstream[],
  times: number,
): Promise<number[]> {
  const before = services.map(({ requests }) => requests.length);
  const client = await caller(proxy);
  for (let time = 0; time < times; time += 1) expect(statusOf(await client.exchange(get))).toBe(200);
  return services.map(({ requests }, index) => requests.length - before[index]!);
}

function addresses(proxy: RunningProxy): string[] {
  return proxy.runtime.report().services[0]!.endpoints.map(({ address }) => address);
}

describe("endpoints of a running service", () => {
  test("change under load with no failed request", async () => {
    const services = await upstreams(4);
    const proxy = await proxyTo({ ports: "dns", service: "    slowStart: 100ms" });
    proxy.runtime.updateServices([state({ discovered: [configOf(services[0]!)] })]);
    const wanted = { status: 200, body: Buffer.from("ok") };
    const load = startLoad({
      port: proxy.port(),
      path: "/",
      connections: 8,
      requestsPerSecond: null,
      wanted,
    });
    const sets = [[0, 1], [1, 2, 3], [3], [2, 3, 0], [1]];
    for (let round = 0; round < 30; round += 1) {
      const discovered = sets[round % sets.length]!.map((index) => configOf(services[index]!));
      const before = load.result().succeeded;
      proxy.runtime.updateServices([state({ discovered })]);
      expect(addresses(proxy)).toEqual(
        discovered.map(({ address }) => `127.0.0.1:${"port" in address && address.port}`),
      );
      await eventually("some requests", () => load.result().succeeded > before + 10);
    }
    const { failed, examples, succeeded } = await load.stop();
    expect({ failed, examples }).toEqual({ failed: 0, examples: [] });
    expect(succeeded).toBeGreaterThan(300);
    for (const { requests } of services) expect(requests.length).toBeGreaterThan(0);
    // Those that left have no idle connection.
    await eventually("the end of idle connections", () =>
      [0, 2, 3].every((index) => services[index]!.connections.every(({ peer }) => peer !== "open")),
    );
  });

  test("keep connections and measurements when they stay, and take a new weight", async () => {
    const [kept, other] = (await upstreams(2)) as [RecordingUpstream, RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns" });
    proxy.runtime.updateServices([state({ discovered: [configOf(kept)] })]);
    await shares(proxy, [kept], 3);
    const before = proxy.runtime.report().services[0]!.endpoints[0]!;
    proxy.runtime.updateServices([state({ discovered: [configOf(other), configOf(kept, 3)] })]);
    const [, after] = proxy.runtime.report().services[0]!.endpoints;
    expect(after!.weight).toBe(3);
    expect({ ...after, latencyMs: 0 }).toEqual({ ...before, weight: 3, weightInEffect: 3, latencyMs: 0 });
    expect(after!.idleConnections).toBe(1);
    expect(await shares(proxy, [kept, other], 8)).toEqual([6, 2]);
    expect(kept.connections.length).toBe(1);
  });

  test("finish what they have in flight when they go", async () => {
    const [going, staying] = (await upstreams(2)) as [RecordingUpstream, RecordingUpstream];
    going.script = {};
    const proxy = await proxyTo({ ports: "dns" });
    proxy.runtime.updateServices([state({ discovered: [configOf(going)] })]);
    const client = await caller(proxy);
    client.send(get);
    const asked = await going.connection();
    await going.request();
    proxy.runtime.updateServices([state({ discovered: [configOf(staying)] })]);
    asked.send(okAnswer);
    expect(statusOf(await client.answer())).toBe(200);
    await eventually("the end of the connection", () => asked.peer !== "open");
    expect(statusOf(await client.exchange(get))).toBe(200);
    expect(staying.requests.length).toBe(1);
  });

  test("are each named once, however often they are discovered", async () => {
    const [one] = (await upstreams(1)) as [RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns" });
    proxy.runtime.updateServices([state({ discovered: [configOf(one), configOf(one), configOf(one)] })]);
    expect(addresses(proxy)).toEqual([nameOf(one)]);
  });

  test("start slow when they come later, and at once when all are new", async () => {
    const clock = new VirtualClock();
    const [first, second] = (await upstreams(2)) as [RecordingUpstream, RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns", service: "    slowStart: 10s" }, { clock });
    proxy.runtime.updateServices([state({ discovered: [configOf(first)] })]);
    const inEffect = () =>
      proxy.runtime.report().services[0]!.endpoints.map(({ weightInEffect }) => weightInEffect);
    expect(inEffect()).toEqual([1]);
    proxy.runtime.updateServices([state({ discovered: [configOf(first), configOf(second)] })]);
    expect(inEffect()).toEqual([1, 0.1]);
    const [, few] = await shares(proxy, [first, second], 200);
    // A share of 1/11 of 200 is 18.
    expect(few).toBeWithin(2, 50);
    clock.advance(5_000);
    expect(inEffect()).toEqual([1, 0.5]);
    clock.advance(5_200);
    expect(inEffect()).toEqual([1, 1]);
    expect(await shares(proxy, [first, second], 200)).toEqual([100, 100]);
  });

  test("start slow when a new config adds them", async () => {
    const [first, second] = (await upstreams(2)) as [RecordingUpstream, RecordingUpstream];
    const proxy = await proxyTo({ ports: [first.port], service: "    slowStart: 1h" });
    await proxy.apply(gateway({ ports: [first.port, second.port], service: "    slowStart: 1h" }));
    const report = proxy.runtime.report().services[0]!;
    expect(report.endpoints.map(({ weightInEffect }) => weightInEffect)).toEqual([1, 0.1]);
  });

  test("survive a new config of their service", async () => {
    const [first, second] = (await upstreams(2)) as [RecordingUpstream, RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns" });
    proxy.runtime.updateServices([state({ discovered: [configOf(first), configOf(second)] })]);
    await proxy.apply(gateway({ ports: "dns", timeouts: "{ connect: 2s }" }));
    expect(addresses(proxy)).toEqual([nameOf(first), nameOf(second)]);
    expect(await shares(proxy, [first, second], 4)).toEqual([2, 2]);
  });

  test("take what is known of them also when it arrives while a config is being applied", async () => {
    const [service] = (await upstreams(1)) as [RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns" });
    const applied = proxy.apply(gateway({ ports: "dns", timeouts: "{ connect: 2s }" }));
    proxy.runtime.updateServices([state({ discovered: [configOf(service)] })]);
    await applied;
    expect(addresses(proxy)).toEqual([nameOf(service)]);
  });

  test("are gone from the meters with their service", async () => {
    const proxy = await proxyTo({ ports: [1, 2] });
    expect(proxy.endpoints.get("shop")).toEqual({ healthy: 2, unhealthy: 0, ejected: 0 });
    await proxy.apply(gateway({ ports: [1] }).replaceAll("shop", "other"));
    expect([...proxy.endpoints.keys()]).toEqual(["other"]);
  });
});

describe("a service without an endpoint", () => {
  test.each(["", "    filters: [request-id]"])(
    "is a 503 that blames discovery, and names nothing of it to the caller %p",
    async (listener) => {
      const proxy = await proxyTo({ ports: "dns", listener });
      const client = await caller(proxy);
      const before = await client.exchange(get);
      expect([statusOf(before), ...values(before, "x-clearway-reason")]).toEqual([
        503,
        "no-healthy-endpoint",
      ]);
      const discoveryProblem = 'no server knows "shop.internal"';
      proxy.runtime.updateServices([state({ discovered: [], discoveryProblem })]);
      const answer = await client.exchange(get);
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([
        503,
        "no-healthy-endpoint",
      ]);
      expect(answer.body).toContain("discovery knows no endpoint");
      expect(answer.body).not.toContain("shop.internal");
      expect(proxy.runtime.report().services[0]!.discoveryProblem).toBe(discoveryProblem);
    },
  );

  test("serves as soon as there is one", async () => {
    const [service] = (await upstreams(1)) as [RecordingUpstream];
    const proxy = await proxyTo({ ports: "dns" });
    proxy.runtime.updateServices([state({ discovered: [configOf(service)] })]);
    expect(await shares(proxy, [service], 3)).toEqual([3]);
  });

  test("lets nobody wait in line for what is gone", async () => {
    const [service] = (await upstreams(1)) as [RecordingUpstream];
    service.script = {};
    const proxy = await proxyTo({ ports: "dns", serviceLimits: "{ connections: 1 }" });
    proxy.runtime.updateServices([state({ discovered: [configOf(service)] })]);
    const [first, second] = await Promise.all([caller(proxy), caller(proxy)]);
    first.send(get);
    await service.request();
    second.send(get);
    await eventually("a waiter", () => proxy.runtime.report().services[0]!.waiting === 1);
    proxy.runtime.updateServices([state({ discovered: [] })]);
    expect(statusOf(await second.answer())).toBe(503);
  });
});

describe("endpoints that fail their checks", () => {
  test("get nothing until they pass again", async () => {
    const services = await upstreams(3);
    const proxy = await proxyTo({ ports: services.map(({ port }) => port) });
    proxy.runtime.updateServices([state({ unhealthy: [nameOf(services[1]!)] })]);
    expect(await shares(proxy, services, 6)).toEqual([3, 0, 3]);
    expect(proxy.endpoints.get("shop")).toEqual({ healthy: 2, unhealthy: 1, ejected: 0 });
    expect(proxy.runtime.report().services[0]!.endpoints[1]).toMatchObject({
      health: "unhealthy",
      weightInEffect: 0,
    });
    proxy.runtime.updateServices([state({})]);
    expect(await shares(proxy, services, 6)).toEqual([2, 2, 2]);
  });

  test("are all used in a panic, which is told once", async () => {
    const services = await upstreams(3);
    const proxy = await proxyTo({ ports: services.map(({ port }) => port) });
    const unhealthy = services.slice(1).map(nameOf);
    proxy.runtime.updateServices([state({ unhealthy })]);
    expect(await shares(proxy, services, 6)).toEqual([2, 2, 2]);
    expect(proxy.runtime.report().services[0]!.panic).toBe("yes");
    proxy.runtime.updateServices([state({ unhealthy: [...unhealthy, nameOf(services[0]!)] })]);
    await proxy.apply(gateway({ ports: services.map(({ port }) => port), timeouts: "{ connect: 2s }" }));
    expect(proxy.counted).toEqual([{ name: "clearway_service_panics_total", service: "shop" }]);
    expect(proxy.log.map(({ message }) => message)).toEqual(["too few endpoints are well: all are used"]);
    proxy.runtime.updateServices([state({})]);
    expect(proxy.log.map(({ message }) => message).slice(1)).toEqual(["enough endpoints are well again"]);
  });
});

describe("zones", () => {
  test("fail over when nobody is well in the own one, and back", async () => {
    const services = await upstreams(4);
    const proxy = await proxyTo({
      ports: services.map(({ port }) => port),
      zones: ["here", "here", "there", "there"],
      root: "zone: here",
    });
    expect(await shares(proxy, services, 8)).toEqual([4, 4, 0, 0]);
    proxy.runtime.updateServices([state({ unhealthy: services.slice(0, 2).map(nameOf) })]);
    expect(await shares(proxy, services, 8)).toEqual([0, 0, 4, 4]);
    proxy.runtime.updateServices([state({})]);
    expect(await shares(proxy, services, 8)).toEqual([4, 4, 0, 0]);
  });

  test("give way to others at once for a connection that cannot be made", async () => {
    const services = await upstreams(3);
    services[0]!.stop();
    services[1]!.stop();
    const proxy = await proxyTo({
      ports: services.map(({ port }) => port),
      zones: ["here", "here", "there"],
      root: "zone: here",
    });
    expect(await shares(proxy, services, 5)).toEqual([0, 0, 5]);
  });

  test("follow the node's own when a new config moves it", async () => {
    const services = await upstreams(2);
    const text = { ports: services.map(({ port }) => port), zones: ["here", "there"] };
    const proxy = await proxyTo({ ...text, root: "zone: here" });
    expect(await shares(proxy, services, 4)).toEqual([4, 0]);
    await proxy.apply(gateway({ ...text, root: "zone: there" }));
    expect(await shares(proxy, services, 4)).toEqual([0, 4]);
  });
});
