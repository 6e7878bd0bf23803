/** Endpoints that keep failing are ejected, for longer each time, and come back. */
import { afterEach, describe, expect, test } from "bun:test";
import { startLoad } from "../../../bench/load.ts";
import { systemClock } from "../../../src/host/clock/node.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import type { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordingUpstream } from "../recording-upstream.ts";
import { type GatewayText, gateway, type RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";

afterEach(closeAll);

const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const failing = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno";
const detection = "    outlierDetection: { consecutiveErrors: 3, ejection: 30s, maxEjection: 70s }";

interface Shop {
  readonly proxy: RunningProxy;
  readonly client: RawClient;
  /** The first of three endpoints. */
  readonly upstream: RecordingUpstream;
  readonly clock: VirtualClock;
  /** Asks until the first endpoint was asked so many times more. */
  askFirst(times: number): Promise<void>;
  /** Asks so many times; how many of these the first endpoint got. */
  ask(times: number): Promise<number>;
}

async function shop(text: Partial<GatewayText> = {}): Promise<Shop> {
  const clock = new VirtualClock();
  const upstream = await upstreamWith();
  const others = [await upstreamWith(), await upstreamWith()];
  const ports = [upstream, ...others].map(({ port }) => port);
  const limits = "{ idleTimeout: 1h }";
  const proxy = await proxyTo({ ports, service: detection, limits, ...text }, { clock });
  const client = await caller(proxy);
  const ask = async (times: number) => {
    const before = upstream.requests.length;
    for (let time = 0; time < times; time += 1) await client.exchange(get);
    return upstream.requests.length - before;
  };
  const askFirst = async (times: number) => {
    const wanted = upstream.requests.length + times;
    for (let time = 0; time < 10 * times && upstream.requests.length < wanted; time += 1) await ask(1);
    expect(upstream.requests.length).toBe(wanted);
  };
  return { proxy, client, upstream, clock, ask, askFirst };
}

function fail(upstream: RecordingUpstream, answer: string | null): void {
  const script = { onRequest: () => answer ?? okAnswer };
  upstream.script = script;
  for (const connection of upstream.connections) connection.script = script;
}

function first(proxy: RunningProxy) {
  return proxy.runtime.report().services[0]!.endpoints[0]!;
}

describe("outlier detection", () => {
  test("ejects after so many errors in a row, tells the log, the meters and the node, and takes it back", async () => {
    const { proxy, upstream, clock, ask, askFirst } = await shop();
    fail(upstream, failing);
    await askFirst(2);
    expect(first(proxy)).toMatchObject({ health: "healthy", ejectedUntilEpochMs: null, weightInEffect: 1 });
    await askFirst(1);
    const endpoint = `127.0.0.1:${upstream.port}`;
    const untilEpochMs = clock.epochMs() + 30_000;
    expect(first(proxy)).toMatchObject({ ejectedUntilEpochMs: untilEpochMs, weightInEffect: 0 });
    expect(proxy.counted).toEqual([{ name: "clearway_endpoint_ejections_total", service: "shop", endpoint }]);
    expect(proxy.endpoints.get("shop")).toEqual({ healthy: 2, unhealthy: 0, ejected: 1 });
    expect(proxy.log).toEqual([
      {
        level: "warn",
        message: "ejected an endpoint: its last requests all failed",
        fields: { service: "shop", endpoint, errors: 3, forMs: 30_000 },
      },
    ]);
    expect(proxy.runtime.takeEjections()).toEqual([{ service: "shop", endpoint, untilEpochMs }]);
    expect(proxy.runtime.takeEjections()).toEqual([]);
    expect(await ask(12)).toBe(0);
    fail(upstream, null);
    clock.advance(30_200);
    expect(await ask(12)).toBe(4);
    expect(proxy.endpoints.get("shop")).toEqual({ healthy: 3, unhealthy: 0, ejected: 0 });
  });

  test("ejects for longer each time, up to the longest", async () => {
    const { proxy, upstream, clock, askFirst } = await shop();
    fail(upstream, failing);
    const lengths: number[] = [];
    for (let ejection = 0; ejection < 3; ejection += 1) {
      await askFirst(3);
      const length = first(proxy).ejectedUntilEpochMs! - clock.epochMs();
      lengths.push(length);
      clock.advance(length + 200);
    }
    expect(lengths).toEqual([30_000, 60_000, 70_000]);
  });

  test("takes any answer below 500 for the end of a row of errors", async () => {
    const { proxy, upstream, askFirst } = await shop();
    for (let round = 0; round < 3; round += 1) {
      fail(upstream, failing);
      await askFirst(2);
      fail(upstream, failing.replace("500", "404"));
      await askFirst(1);
    }
    expect(proxy.counted).toEqual([]);
  });

  const kinds: Record<string, (upstream: RecordingUpstream) => void> = {
    "connections that are refused": (upstream) => upstream.stop(),
    "connections that are reset": (upstream) => {
      upstream.script = { onRequest: (_, connection) => void connection.reset() };
      for (const connection of upstream.connections) connection.script = upstream.script;
    },
    "answers that are not HTTP": (upstream) => fail(upstream, "what?\r\n\r\n"),
  };
  test.each(Object.entries(kinds))("counts %s", async (_, broken) => {
    const { proxy, upstream, ask } = await shop();
    await ask(3);
    broken(upstream);
    for (let time = 0; time < 30 && proxy.counted.length === 0; time += 1) await ask(1);
    expect(proxy.counted).toHaveLength(1);
    expect(first(proxy).weightInEffect).toBe(0);
  });

  test("counts answers that are late, and not callers that leave", async () => {
    const { proxy, upstream, clock, askFirst } = await shop({ route: "        timeout: 1s" });
    await askFirst(1);
    fail(upstream, "");
    const late = async () => {
      const client = await caller(proxy);
      for (let time = 0; time < 3; time += 1) {
        const requests = upstream.requests.length;
        client.send(get);
        const sent = () => upstream.requests.length > requests;
        await eventually("the request, or another's answer", () => sent() || client.unread !== "");
        if (sent()) return client;
        await client.answer();
      }
      throw new Error("the first of three endpoints got none of three requests");
    };
    for (let time = 0; time < 3; time += 1) (await late()).close();
    expect(proxy.counted).toEqual([]);
    for (let time = 0; time < 3; time += 1) {
      const client = await late();
      clock.advance(1_200);
      expect(statusOf(await client.answer())).toBe(504);
    }
    expect(proxy.counted).toHaveLength(1);
  });

  test.each([
    { share: "10%", ejected: 0 },
    { share: "33%", ejected: 0 },
    { share: "34%", ejected: 1 },
    { share: "67%", ejected: 2 },
    { share: "100%", ejected: 3 },
  ])("ejects at most $share of three: $ejected", async ({ share, ejected }) => {
    const { proxy, ask } = await shop({
      ports: [(await upstreamWith({ onRequest: () => failing })).port, ...(await failingPorts(2))],
      service: `    outlierDetection: { consecutiveErrors: 2, maxEjected: ${share} }\n    panic: 0%`,
    });
    await ask(30);
    expect(proxy.endpoints.get("shop")!.ejected).toBe(ejected);
    expect(proxy.counted).toHaveLength(ejected);
  });

  test("leaves nobody with a share of all and no panic: 503 no-healthy-endpoint", async () => {
    const service = "    outlierDetection: { consecutiveErrors: 1, maxEjected: 100% }\n    panic: 0%";
    const { client, ask, proxy } = await shop({ ports: await failingPorts(2), service });
    await ask(2);
    const answer = await client.exchange(get);
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([503, "no-healthy-endpoint"]);
    expect(proxy.log.at(-1)?.message).toContain("none of its 2 endpoints is well");
  });

  test("does nothing without the config", async () => {
    const { proxy, ask } = await shop({ ports: await failingPorts(2), service: "" });
    await ask(30);
    expect(proxy.endpoints.get("shop")).toEqual({ healthy: 2, unhealthy: 0, ejected: 0 });
  });

  test("takes over the ejections of other workers, and tells them to nobody", async () => {
    const { proxy, upstream, clock, ask } = await shop();
    const endpoint = `127.0.0.1:${upstream.port}`;
    const ejected = [{ endpoint, untilEpochMs: clock.epochMs() + 20_000 }];
    proxy.runtime.updateServices([
      { service: "shop", discovered: null, discoveryProblem: null, unhealthy: [], ejected },
    ]);
    expect(await ask(9)).toBe(0);
    expect(proxy.runtime.takeEjections()).toEqual([]);
    expect(proxy.counted).toEqual([]);
    clock.advance(20_200);
    expect(await ask(9)).toBe(3);
  });

  test("spares callers a failing endpoint under load, and gives it its share again when it is well", async () => {
    const services = [await upstreamWith(), await upstreamWith(), await upstreamWith()];
    const service = "    outlierDetection: { consecutiveErrors: 3, ejection: 200ms }";
    const ports = services.map(({ port }) => port);
    const proxy = await proxyTo({ ports, service }, { clock: systemClock });
    const wanted = { status: 200, body: Buffer.from("ok") };
    const connections = 4;
    const load = startLoad({ port: proxy.port(), path: "/", connections, requestsPerSecond: null, wanted });
    fail(services[0]!, failing);
    const ejections = () => proxy.counted.length;
    await eventually("three ejections", () => ejections() >= 3);
    fail(services[0]!, null);
    const { failed } = load.result();
    // Each ejection costs three errors, and what was under way.
    expect(failed).toBeLessThanOrEqual(ejections() * (3 + connections));
    const before = services[0]!.requests.length;
    await eventually("its share of requests", () => services[0]!.requests.length > before + 100);
    const result = await load.stop();
    expect(result.failed).toBeLessThanOrEqual(failed + connections);
    expect(result.succeeded).toBeGreaterThan(300);
  });

  test("goes on over a new config of the service", async () => {
    const { proxy, upstream, clock, ask, askFirst } = await shop();
    fail(upstream, failing);
    await askFirst(3);
    const ports = proxy.runtime
      .report()
      .services[0]!.endpoints.map(({ address }) => Number(address.split(":")[1]));
    await proxy.apply(
      gateway({ ports, service: detection, limits: "{ idleTimeout: 1h }", timeouts: "{ connect: 2s }" }),
    );
    expect(await ask(9)).toBe(0);
    clock.advance(30_200);
    await askFirst(3);
    expect(first(proxy).ejectedUntilEpochMs! - clock.epochMs()).toBe(60_000);
  });
});

describe("an endpoint that is ejected, and well again", () => {
  /** Two endpoints, the first of them ejected for another 30 s. */
  async function halfOut() {
    const clock = new VirtualClock();
    const [out, left] = [await upstreamWith(), await upstreamWith()];
    const limits = "{ idleTimeout: 1h }";
    const proxy = await proxyTo({ ports: [out.port, left.port], service: detection, limits }, { clock });
    const client = await caller(proxy);
    fail(out, failing);
    for (let time = 0; time < 10 && proxy.counted.length === 0; time += 1) await client.exchange(get);
    fail(out, null);
    const before = out.requests.length;
    /** Statuses of so many requests. */
    const ask = async (times: number) => {
      const statuses: number[] = [];
      for (let time = 0; time < times; time += 1) statuses.push(statusOf(await client.exchange(get)));
      return statuses;
    };
    expect(await ask(4)).toEqual([200, 200, 200, 200]);
    expect(out.requests.length).toBe(before);
    return { proxy, left, ask, asked: () => out.requests.length - before };
  }

  test("takes requests at once when the one that is left cannot be reached", async () => {
    const { left, ask, asked } = await halfOut();
    left.stop();
    expect(await ask(8)).toEqual(Array(8).fill(200));
    expect(asked()).toBe(8);
  });

  test("takes its share when the one that is left fails as it did, until that one answers", async () => {
    const { proxy, left, ask, asked } = await halfOut();
    const panic = () => proxy.runtime.report().services[0]!.panic;
    fail(left, failing);
    expect(await ask(3)).toEqual([500, 500, 500]);
    expect(panic()).toBe("yes");
    expect((await ask(8)).toSorted()).toEqual([...Array(4).fill(200), ...Array(4).fill(500)]);
    expect(asked()).toBe(4);
    fail(left, null);
    expect(await ask(10)).toEqual(Array(10).fill(200));
    expect(panic()).toBe("no");
    expect(asked()).toBeLessThanOrEqual(5);
    expect(proxy.counted.map(({ name }) => name)).toEqual([
      "clearway_endpoint_ejections_total",
      "clearway_service_panics_total",
    ]);
  });
});

test("a service's only endpoint makes no panic, however it fails", async () => {
  const { proxy, ask } = await shop({ ports: await failingPorts(1) });
  await ask(10);
  expect(proxy.counted).toEqual([]);
  expect(proxy.log).toEqual([]);
});

async function failingPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let port = 0; port < count; port += 1)
    ports.push((await upstreamWith({ onRequest: () => failing })).port);
  return ports;
}
