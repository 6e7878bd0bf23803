import { afterEach, describe, expect, test } from "bun:test";
import rateLimit from "../../src/filters/rate-limit.ts";
import { compileChain } from "../../src/runtime/chain.ts";
import { createFilters } from "../../src/runtime/live-filter.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import type { Bindings } from "../../src/types.ts";
import { passThrough } from "../runtime/chain-app.ts";
import { onLightPair, type RequestDraft, type Wire } from "../runtime/fetch/both-pairs.ts";
import { type TestParts, testParts } from "../runtime/filter-parts.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../runtime/setting.ts";
import { SeededRandom } from "../seeded-random.ts";
import { headerOf, realChain } from "./real-chain.ts";

afterEach(closeAll);

interface Entry {
  readonly id?: string;
  readonly options: object;
}

/** Limits in one list, on the route of that name. */
function routeWith(
  entries: readonly Entry[],
  { parts, route = "orders" }: { parts: TestParts; route?: string },
) {
  const place = { file: "clearway.yaml", line: 1 };
  const list = entries.map(({ id = null, options }) => ({
    ...{ name: "rate-limit", id, options, place, onError: "fail" as const },
  }));
  const chain = compileChain(createFilters(list, { ...parts, filters }, `web/${route}`))!;
  return (env: Partial<Bindings> = {}, request: RequestDraft = {}): Promise<Wire> =>
    onLightPair(
      (seen, forward) => passThrough(chain, seen, { remoteAddress: "203.0.113.7", route, ...env, forward }),
      request,
      {},
    );
}

const filters = new Map([["rate-limit", rateLimit]]);
const statuses = (answers: readonly Wire[]) => answers.map(({ status }) => status);

describe("rate-limit", () => {
  test("refuses the 11th call in one second, and says when another one passes", async () => {
    const { send, parts } = realChain(rateLimit, { requests: 10, per: "1s" });
    for (let call = 0; call < 10; call++) expect((await send()).status).toBe(200);
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(refused.forwarded).toBeNull();
    expect(headerOf(refused, "x-clearway-reason")).toBe("rate-limited");
    expect(headerOf(refused, "retry-after")).toBe("1");
    parts.clock.advance(100);
    expect(statuses([await send(), await send()])).toEqual([200, 429]);
  });

  test("tells what is left as draft-ietf-httpapi-ratelimit-headers-10 writes it", async () => {
    const { send, parts } = realChain(rateLimit, { requests: 100, per: "1m", burst: 2 });
    const fields = (answer: Wire) => [headerOf(answer, "ratelimit-policy"), headerOf(answer, "ratelimit")];
    const policy = '"rate-limit";q=100;w=60;clearway-burst=2';
    expect(fields(await send())).toEqual([policy, '"rate-limit";r=1;t=1']);
    expect(fields(await send())).toEqual([policy, '"rate-limit";r=0;t=1']);
    expect(fields(await send())).toEqual([policy, '"rate-limit";r=0;t=1']);
    parts.clock.advance(600);
    expect(fields(await send())).toEqual([policy, '"rate-limit";r=0;t=1']);
  });

  test("names no window that is not whole seconds", async () => {
    const { send } = realChain(rateLimit, { requests: 3, per: "1500ms" });
    expect(headerOf(await send(), "ratelimit-policy")).toBe('"rate-limit";q=3');
  });

  test("never says an earlier second in Retry-After than in RateLimit", async () => {
    const { send } = realChain(rateLimit, { requests: 1, per: "90s" });
    await send();
    const refused = await send();
    expect([headerOf(refused, "retry-after"), headerOf(refused, "ratelimit")]).toEqual([
      "90",
      '"rate-limit";r=0;t=90',
    ]);
  });

  test("says nothing of itself with headers: false", async () => {
    const { send } = realChain(rateLimit, { requests: 1, per: "1s", headers: false });
    const answers = [await send(), await send()];
    expect(statuses(answers)).toEqual([200, 429]);
    for (const answer of answers) expect(answer.headers.join()).not.toContain("ratelimit");
    expect(headerOf(answers[1]!, "retry-after")).toBe("1");
  });

  test("lets pass in audit, and counts what it would refuse", async () => {
    const { send, counted } = realChain(rateLimit, { requests: 1, per: "1s", mode: "audit" });
    const answers = [await send(), await send()];
    expect(statuses(answers)).toEqual([200, 200]);
    expect(answers[1]!.headers.join()).not.toContain("ratelimit");
    expect([
      counted("rate_limit allowed"),
      counted("rate_limit audited"),
      counted("rate_limit refused"),
    ]).toEqual([1, 1, 0]);
  });

  test("counts what passed and what it refused", async () => {
    const { send, counted } = realChain(rateLimit, { requests: 2, per: "1s" });
    for (let call = 0; call < 5; call++) await send();
    expect([counted("rate_limit allowed"), counted("rate_limit refused")]).toEqual([2, 3]);
  });
});

describe("rate-limit by key", () => {
  const of = (key: string) =>
    routeWith([{ options: { requests: 1, per: "1s", key } }], { parts: testParts() });

  test("counts addresses", async () => {
    const send = of("ip");
    expect((await send({ remoteAddress: "192.0.2.1" })).status).toBe(200);
    expect((await send({ remoteAddress: "192.0.2.2" })).status).toBe(200);
    expect((await send({ remoteAddress: "192.0.2.1" })).status).toBe(429);
  });

  test("counts headers, cookies and query", async () => {
    for (const [key, request] of Object.entries({
      "header:X-Tenant": (value: string) => ({ headers: { "x-tenant": value } }),
      "cookie:session": (value: string) => ({ headers: { cookie: `a=b; session=${value}` } }),
      "query:user": (value: string) => ({ path: `/orders?user=${value}` }),
    })) {
      const send = of(key);
      const found = [];
      for (const value of ["one", "two", "one"]) found.push(await send({}, request(value)));
      expect(statuses(found)).toEqual([200, 200, 429]);
    }
  });

  test("counts identities, and the whole route", async () => {
    const byIdentity = of("identity");
    const identity = (name: string) => ({ identity: `spiffe://store.example/${name}` });
    const names = ["storefront", "accounts", "storefront"];
    const answers = [];
    for (const name of names) answers.push(await byIdentity(identity(name)));
    expect(statuses(answers)).toEqual([200, 200, 429]);
    const byRoute = of("route");
    expect((await byRoute({ remoteAddress: "192.0.2.1" })).status).toBe(200);
    expect((await byRoute({ remoteAddress: "192.0.2.2" })).status).toBe(429);
  });

  test("counts who has no such key by the address, and never as one that has it", async () => {
    const send = of("header:x-tenant");
    const none = { remoteAddress: "192.0.2.1" };
    expect((await send(none)).status).toBe(200);
    expect((await send({ remoteAddress: "192.0.2.2" })).status).toBe(200);
    expect((await send(none)).status).toBe(429);
    const posing = { headers: { "x-tenant": "192.0.2.1" } };
    expect((await send({ remoteAddress: "192.0.2.3" }, posing)).status).toBe(200);
  });
});

describe("several rate-limits", () => {
  test("of one request all speak, and each refuses", async () => {
    const parts = testParts();
    const send = routeWith(
      [
        { id: "daily", options: { requests: 5, per: "24h" } },
        { id: 'a "burst"', options: { requests: 2, per: "1s" } },
      ],
      { parts },
    );
    const answers = [await send(), await send(), await send()];
    expect(statuses(answers)).toEqual([200, 200, 429]);
    for (const [answer, daily, burst] of [
      [answers[0]!, '"daily";r=4;t=17280', '"a \\"burst\\"";r=1;t=1'],
      [answers[2]!, '"daily";r=2;t=17280', '"a \\"burst\\"";r=0;t=1'],
    ] as const) {
      const fields = answer.headers.filter((line) => line.startsWith("ratelimit: ")).join(", ");
      expect(fields).toContain(daily);
      expect(fields).toContain(burst);
    }
    expect(headerOf(answers[0]!, "ratelimit-policy")).toContain(";q=");
  });

  test("on several routes count for themselves, and together where they have one id", async () => {
    const parts = testParts();
    const options = { requests: 1, per: "1s" };
    const [orders, users] = ["orders", "users"].map((route) => routeWith([{ options }], { parts, route }));
    expect(statuses([await orders!(), await users!()])).toEqual([200, 200]);
    const shared = ["orders", "users"].map((route) => routeWith([{ id: "api", options }], { parts, route }));
    expect(statuses([await shared[0]!(), await shared[1]!()])).toEqual([200, 429]);
  });

  test("of two workers are one, and warn where the node has no room", async () => {
    const bytes = privateMemory();
    const parts = [0, 1].map((worker) =>
      testParts({ share: new NodeMemory(bytes, new SeededRandom(worker)).share(worker) }),
    );
    const options = { requests: 2, per: "1s" };
    const [one, other] = parts.map((each) => routeWith([{ options }], { parts: each }));
    expect(statuses([await one!(), await other!(), await one!()])).toEqual([200, 200, 429]);
    for (let table = 0; table < 200; table++) parts[0]!.share.limits(`table ${table}`, 1);
    const full = routeWith([{ options: { ...options, keys: 1 } }], { parts: parts[0]! });
    expect((await full()).status).toBe(200);
    expect(parts[0]!.logged).toEqual([
      {
        message: "each worker counts this limit for itself",
        fields: { filter: "rate-limit", key: "ip", reason: "the node has no room left for it" },
      },
    ]);
  });
});

test("rate-limit counts for the node on the wire, and adds to what the service says of its own limit", async () => {
  const upstream = await upstreamWith({
    onRequest: () => 'HTTP/1.1 200 OK\r\nRateLimit: "own";r=7\r\nContent-Length: 0\r\n\r\n',
  });
  const proxy = await proxyTo({
    ports: [upstream.port],
    listener: "    filters: [{ rate-limit: { requests: 1, per: 1h } }]",
  });
  const [first, second] = [await caller(proxy), await caller(proxy)];
  const passed = await first.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const refused = await second.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect([statusOf(passed), statusOf(refused)]).toEqual([200, 429]);
  expect(values(passed, "ratelimit").join(", ")).toBe('"own";r=7, "rate-limit";r=0;t=3600');
  expect(values(refused, "ratelimit")).toEqual(['"rate-limit";r=0;t=3600']);
  expect(values(refused, "x-clearway-reason")).toEqual(["rate-limited"]);
});
