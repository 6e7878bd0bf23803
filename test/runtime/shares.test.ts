/** A route that shares its requests among services which each have rules of their own for their share. */
import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/host/clock/node.ts";
import { defineFilter, type FilterDefinition, z } from "../../src/plugin.ts";
import type { FilterEntry, RouteConfig, Snapshot } from "../../src/snapshot.ts";
import type { Middleware } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { statusOf, values } from "./messages.ts";
import type { RecordingUpstream } from "./recording-upstream.ts";
import { type ProxyOptions, RunningProxy } from "./running-proxy.ts";
import { caller, closeAll, untilEnd, upstreamWith } from "./setting.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

const place = { file: "mesh.yaml", line: 7 };
const any: RouteConfig["match"] = { host: null, path: null, methods: [], headers: [], query: [] };
const unchanged = { path: null, host: null };

function filter(name: string, options: unknown): FilterEntry {
  return { name, id: null, onError: "fail", options, place };
}

/** A service's own route, of which a test says what matters to it. */
function own(service: string, changed: Partial<RouteConfig> = {}): RouteConfig {
  return {
    name: "/api/*",
    match: any,
    filters: [],
    timeoutMs: 15_000,
    action: { kind: "forward", to: [{ service, version: null, weight: 1 }], rewrite: unchanged },
    place,
    ...changed,
  };
}

/** A weight for each service, and its routes. */
interface Shares {
  readonly first: readonly [weight: number, ...routes: RouteConfig[]];
  readonly second: readonly [weight: number, ...routes: RouteConfig[]];
}

function sharing({ first, second }: Shares): (snapshot: Snapshot) => Snapshot {
  const target = (service: string, [weight, ...routes]: Shares["first"]) => {
    return { service, version: null, weight, routes };
  };
  const to = [target("first", first), target("second", second)];
  const changed = (route: RouteConfig): RouteConfig =>
    route.action.kind === "forward" ? { ...route, action: { ...route.action, to } } : route;
  return (snapshot) => ({
    ...snapshot,
    listeners: snapshot.listeners.map((each) => ({ ...each, routes: each.routes.map(changed) })),
  });
}

interface Scene {
  readonly proxy: RunningProxy;
  readonly first: RecordingUpstream;
  readonly second: RecordingUpstream;
  /** The same config with other shares. */
  share(shares: Shares): Promise<void>;
}

const saying = (name: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;

interface SceneOptions extends Omit<ProxyOptions, "change"> {
  /** YAML of the route, a key on each line. */
  readonly route?: string;
  /** Of the service of that name; null for none. */
  answer?(service: string): string | null;
}

/** Without shares the services have no rules of their own. */
async function scene(
  shares: Shares | null,
  { route = "", answer = saying, ...options }: SceneOptions = {},
): Promise<Scene> {
  const [first, second] = await Promise.all(
    ["first", "second"].map((name) => upstreamWith({ onRequest: () => answer(name) })),
  );
  const yaml = `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { path: /api/* }
        to: { first: 1, second: 1 }
${route}
services:
  first: { endpoints: ["127.0.0.1:${first!.port}"] }
  second: { endpoints: ["127.0.0.1:${second!.port}"] }
`;
  let now = shares === null ? (snapshot: Snapshot) => snapshot : sharing(shares);
  const change = (snapshot: Snapshot) => now(snapshot);
  const proxy = untilEnd(await RunningProxy.start(yaml, { ...options, change }));
  return {
    proxy,
    first: first!,
    second: second!,
    share(other) {
      now = sharing(other);
      return proxy.apply(yaml);
    },
  };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n\r\n`;
/** Of a retry, so that nothing else holds it back. */
const spare = { when: [503], budget: "100%", perSecond: 10_000, backoff: "1ms" };
const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
const starts = ({ requests }: RecordingUpstream) => requests.map(({ start }) => start.split(" ")[1]);

describe("a service's own rules", () => {
  test("hold for its share, and leave the other service's alone", async () => {
    const stamp = filter("headers", { response: { set: { "x-rules": "first" } } });
    const { proxy } = await scene({
      first: [3, own("first", { filters: [stamp] })],
      second: [1, own("second")],
    });
    const client = await caller(proxy);
    const seen: Record<string, number> = {};
    for (let time = 0; time < 400; time++) {
      const answer = await client.exchange(get("/api/x"));
      const key = `${answer.body} ${values(answer, "x-rules")}`;
      seen[key] = (seen[key] ?? 0) + 1;
    }
    expect(Object.keys(seen).toSorted()).toEqual(["first first", "second "]);
    // Four standard deviations of 400 draws with a chance of a quarter.
    expect(Math.abs(seen["second "]! - 100)).toBeLessThan(35);
    expect(proxy.measured).toHaveLength(400);
    expect(new Set(proxy.measured.map(({ route, service }) => `${route} ${service}`))).toEqual(
      new Set(["/api/* first", "/api/* second"]),
    );
  });

  test("say how long it may take", async () => {
    const clock = new VirtualClock();
    const [quick, patient] = [own("first", { timeoutMs: 300 }), own("second", { timeoutMs: 2_000 })];
    const { proxy, first, second, share } = await scene(
      { first: [0, quick], second: [1, patient] },
      { clock, answer: () => null },
    );
    const one = await caller(proxy);
    one.send(get("/api/x"));
    await second.request();
    clock.advance(1_000);
    expect(proxy.measured).toEqual([]);
    clock.advance(1_500);
    expect(statusOf(await one.answer())).toBe(504);
    await share({ first: [1, quick], second: [0, patient] });
    const other = await caller(proxy);
    other.send(get("/api/x"));
    await first.request();
    clock.advance(600);
    expect(statusOf(await other.answer())).toBe(504);
  });

  test("say whether it is asked again", async () => {
    const retrying = own("first", { filters: [filter("retry", { attempts: 3, ...spare })] });
    const { proxy, first, second, share } = await scene(
      { first: [1, retrying], second: [0, own("second")] },
      { clock: systemClock, answer: () => busy },
    );
    const client = await caller(proxy);
    expect((await client.exchange(get("/api/x"))).body).toBe("busy");
    expect(first.requests).toHaveLength(3);
    await share({ first: [0, retrying], second: [1, own("second")] });
    expect((await client.exchange(get("/api/x"))).body).toBe("busy");
    expect(second.requests).toHaveLength(1);
  });

  test("take its requests apart once more, and the last takes what is left", async () => {
    const refunds = own("first", { match: { ...any, path: "/api/refunds/*" }, name: "/api/*/refunds" });
    const posts = own("first", {
      match: { ...any, methods: ["POST"] },
      name: "/api/*/posts",
      action: { kind: "respond", status: 405, headers: [], body: "" },
    });
    const { proxy } = await scene({ first: [1, refunds, posts, own("first")], second: [0, own("second")] });
    const client = await caller(proxy);
    for (const request of [
      get("/api/refunds/7"),
      "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    ])
      await client.exchange(request);
    await client.exchange(get("/api/x"));
    expect(proxy.measured.map(({ route, status }) => `${route} ${status}`)).toEqual([
      "/api/*/refunds 200",
      "/api/*/posts 405",
      "/api/* 200",
    ]);
  });

  test("leave a request without an answer where none of them takes it", async () => {
    const { proxy } = await scene({ first: [1], second: [0] });
    const answer = await (await caller(proxy)).exchange(get("/api/x"));
    expect([statusOf(answer), values(answer, "x-clearway-reason")]).toEqual([404, ["no-route"]]);
  });
});

describe("what the route itself says", () => {
  test("its filters are one for all services", async () => {
    const route = "        filters: [rate-limit: { requests: 20, per: 1h, key: ip }]";
    const { proxy, first, second } = await scene(
      { first: [1, own("first")], second: [1, own("second")] },
      { route },
    );
    const client = await caller(proxy);
    const statuses: number[] = [];
    for (let time = 0; time < 40; time++) statuses.push(statusOf(await client.exchange(get("/api/x"))));
    expect(statuses).toEqual([...Array(20).fill(200), ...Array(20).fill(429)]);
    expect(Math.min(first.requests.length, second.requests.length)).toBeGreaterThan(0);
  });

  test("what repeats is the innermost of its filters and the service's own", async () => {
    const fault = filter("fault", { delay: { for: "1ms" } });
    const { proxy, first } = await scene(
      { first: [1, own("first", { filters: [fault] })], second: [0, own("second")] },
      {
        route: `        filters: [request-id, { retry: ${JSON.stringify({ attempts: 3, ...spare })} }]`,
        clock: systemClock,
        answer: () => busy,
      },
    );
    const client = await caller(proxy);
    expect(values(await client.exchange(get("/api/x")), "x-request-id")).toHaveLength(1);
    expect([first.requests.length, faultsOf(proxy)]).toEqual([3, 1]);
  });

  test("its rewrite means its own match, and the service's where it has none", async () => {
    const refunds = { ...any, path: "/api/refunds/*" };
    const outer = { path: "/v2/*", host: null, match: { ...any, path: "/api/*" } };
    const to = [{ service: "first", version: null, weight: 1 }];
    const by = (rewrite: typeof outer | { path: string; host: null }): RouteConfig =>
      own("first", { match: refunds, action: { kind: "forward", to, rewrite } });
    const { proxy, first, share } = await scene({ first: [1, by(outer)], second: [0, own("second")] });
    const client = await caller(proxy);
    await client.exchange(get("/api/refunds/7"));
    await share({ first: [1, by({ path: "/r/*", host: null })], second: [0, own("second")] });
    await client.exchange(get("/api/refunds/7"));
    expect(starts(first)).toEqual(["/v2/refunds/7", "/r/7"]);
  });

  test("its params are Hono's, and the service's where it has none", async () => {
    const seen: unknown[] = [];
    const look: Middleware = (c, next) => {
      seen.push(c.req.param());
      return next();
    };
    const options = z.unknown();
    const looking = defineFilter({ name: "look", summary: "Sees", options, middleware: () => look });
    const filters = new Map<string, FilterDefinition>([["look", looking]]);
    const users = own("first", {
      match: { ...any, path: "/api/users/:user" },
      filters: [filter("look", {})],
    });
    const { proxy } = await scene(
      { first: [1, users, own("first")], second: [0, own("second")] },
      { filters },
    );
    await (await caller(proxy)).exchange(get("/api/users/7"));
    expect(seen).toEqual([{ user: "7" }]);
  });
});

describe("new rules", () => {
  const stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
  const gated = own("first", { filters: [filter("gate", {})] });

  /** A filter that lets nobody go on once a test says so. */
  function gate() {
    const state = { allows: true };
    const middleware = () => {
      const pass: Middleware = (_, next) => next();
      return Object.assign(pass, { stillAllows: () => state.allows });
    };
    const definition = defineFilter({ name: "gate", summary: "Lets pass", options: z.unknown(), middleware });
    const filters = new Map<string, FilterDefinition>([["gate", definition]]);
    return { state, options: { filters, answer: () => stream } };
  }

  async function open(proxy: RunningProxy) {
    const client = await caller(proxy);
    client.send(get("/api/x"));
    await client.until("a first chunk", () => (client.received.includes("hi") ? true : null));
    return client;
  }

  test("judge what is under way by the service in whose share it is", async () => {
    const { state, options } = gate();
    const { proxy, share } = await scene({ first: [1, gated], second: [0, own("second")] }, options);
    const ended = await open(proxy);
    await share({ first: [0, gated], second: [1, own("second")] });
    const going = await open(proxy);
    state.allows = false;
    await share({ first: [0, gated], second: [1, own("second")] });
    await ended.ended();
    expect(going.peer).toBe("open");
    expect(proxy.measured).toMatchObject([{ service: "first", reason: "policy-changed" }]);
  });

  test("judge so too what began before the services had rules of their own", async () => {
    const { state, options } = gate();
    const { proxy, first, second, share } = await scene(null, options);
    const clients: Awaited<ReturnType<typeof open>>[] = [];
    for (let time = 0; time < 12; time++) clients.push(await open(proxy));
    const counts = [first.requests.length, second.requests.length];
    expect(Math.min(...counts)).toBeGreaterThan(0);
    state.allows = false;
    await share({ first: [1, gated], second: [1, own("second")] });
    const going = () => clients.filter(({ peer }) => peer === "open").length;
    await eventually("the end of the first one's", () => going() === counts[1]);
    expect(proxy.measured).toHaveLength(counts[0]!);
    expect(new Set(proxy.measured.map(({ service, reason }) => `${service} ${reason}`))).toEqual(
      new Set(["first policy-changed"]),
    );
  });
});

function faultsOf({ counted }: RunningProxy): number {
  return counted.filter(({ name }) => name === "clearway_filter_faults_total").length;
}
