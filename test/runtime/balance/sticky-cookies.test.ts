/** Cookies that tie a caller to an endpoint, through the proxy. */
import { afterEach, describe, expect, test } from "bun:test";
import { StickyCookies } from "../../../src/runtime/balance/sticky-cookies.ts";
import { type Message, statusOf, values } from "../messages.ts";
import { RecordingUpstream } from "../recording-upstream.ts";
import type { GatewayText, RunningProxy } from "../running-proxy.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";

afterEach(closeAll);

const cookiePattern = /^session=([0-9a-f]{32}); Path=\/; HttpOnly; SameSite=Lax$/;

function request(fields: readonly string[] = []): string {
  return `GET / HTTP/1.1\r\nHost: shop.example\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`;
}

function answerOf(name: string, fields: readonly string[] = []): string {
  const lines = [`X-Name: ${name}`, ...fields, "Content-Length: 2"];
  return `HTTP/1.1 200 Fine indeed\r\n${lines.join("\r\n")}\r\n\r\nok`;
}

/** A proxy that ties callers by cookie to one of several services that say their names. */
async function stickyProxy(
  text: Partial<GatewayText> = {},
  fields: readonly string[] = [],
): Promise<RunningProxy> {
  const ports: number[] = [];
  for (const name of ["a", "b", "c", "d"]) {
    const upstream = await upstreamWith({ onRequest: () => answerOf(name, fields) });
    ports.push(upstream.port);
  }
  return proxyTo({ ports, loadBalancing: '{ ring-hash: { key: "cookie:session" } }', ...text });
}

function nameIn(answer: Message): string {
  return values(answer, "x-name")[0] ?? "";
}

const paths = [
  { way: "directly", listener: "" },
  { way: "through filters", listener: "    filters: [request-id]" },
];

describe.each(paths)("a sticky cookie $way", ({ listener }) => {
  test("is set when absent, and leads to the endpoint that set it", async () => {
    const proxy = await stickyProxy({ listener });
    const names = new Set<string>();
    for (let session = 0; session < 20; session += 1) {
      const client = await caller(proxy);
      const first = await client.exchange(request());
      const cookies = values(first, "set-cookie");
      expect(cookies).toHaveLength(1);
      const [, value] = cookiePattern.exec(cookies[0]!)!;
      names.add(nameIn(first));
      for (let again = 0; again < 3; again += 1) {
        const next = await client.exchange(request([`Cookie: theme=dark; session=${value}`]));
        expect(nameIn(next)).toBe(nameIn(first));
        expect(values(next, "set-cookie")).toEqual([]);
      }
    }
    // That 20 sessions of four endpoints are all with one happens once in 4^19 runs.
    expect(names.size).toBeGreaterThan(1);
  });

  test("changes nothing else of the answer", async () => {
    const proxy = await stickyProxy({ listener }, ["Set-Cookie: theme=dark", "set-cookie: sessions=x"]);
    const client = await caller(proxy);
    const answer = await client.exchange(request());
    const known = await client.exchange(request([`Cookie: session=${"0".repeat(32)}`]));
    expect(answer.start).toBe("HTTP/1.1 200 Fine indeed");
    expect(answer.body).toBe("ok");
    const others = (message: Message) =>
      message.fields.filter(([name, value]) => !value.startsWith("session=") && !/^x-/i.test(name));
    expect(others(answer)).toEqual(others(known));
    expect(values(answer, "set-cookie").slice(0, 2)).toEqual(["theme=dark", "sessions=x"]);
    expect(values(answer, "set-cookie")).toHaveLength(3);
  });

  test("is the service's to choose when it sets it itself", async () => {
    const proxy = await stickyProxy({ listener }, ["Set-Cookie: session=own; Path=/shop"]);
    const answer = await (await caller(proxy)).exchange(request());
    expect(values(answer, "set-cookie")).toEqual(["session=own; Path=/shop"]);
  });

  test("is for https alone when the caller came by https", async () => {
    const proxy = await stickyProxy({ listener: `    trustedHops: 1\n${listener}` });
    const client = await caller(proxy);
    const secure = await client.exchange(request(["X-Forwarded-Proto: https"]));
    expect(values(secure, "set-cookie")[0]).toEndWith("; SameSite=Lax; Secure");
    const plain = await client.exchange(request(["X-Forwarded-Proto: http"]));
    expect(values(plain, "set-cookie")[0]).toMatch(cookiePattern);
  });

  test("is not set by an answer that no service gave", async () => {
    const dead = await RecordingUpstream.start();
    dead.stop();
    const loadBalancing = '{ ring-hash: { key: "cookie:session" } }';
    const proxy = await proxyTo({ ports: [dead.port], loadBalancing, listener });
    const answer = await (await caller(proxy)).exchange(request());
    expect(statusOf(answer)).toBe(503);
    expect(values(answer, "set-cookie")).toEqual([]);
  });

  test("is set once when the first endpoint cannot be reached, and leads to the one that answered", async () => {
    const dead = await RecordingUpstream.start();
    dead.stop();
    const alive = await upstreamWith({ onRequest: () => answerOf("alive") });
    const loadBalancing = '{ ring-hash: { key: "cookie:session" } }';
    const proxy = await proxyTo({ ports: [dead.port, alive.port], loadBalancing, listener });
    const client = await caller(proxy);
    for (let session = 0; session < 10; session += 1) {
      const answer = await client.exchange(request());
      expect(nameIn(answer)).toBe("alive");
      expect(values(answer, "set-cookie")).toHaveLength(1);
    }
  });
});

describe("other keys through the proxy", () => {
  test.each([
    { key: "header:X-Tenant", made: (n: number) => request([`X-Tenant: tenant ${n}`]) },
    { key: "query:user", made: (n: number) => request().replace("GET /", `GET /?a=b&user=${n}`) },
    { key: "ip", made: () => request() },
    { key: "route", made: () => request() },
  ])("$key ties requests to an endpoint, directly and through filters", async ({ key, made }) => {
    for (const { listener } of paths) {
      const proxy = await stickyProxy({ listener, loadBalancing: `{ ring-hash: { key: "${key}" } }` });
      const client = await caller(proxy);
      for (let each = 0; each < 6; each += 1) {
        const names = new Set<string>();
        for (let again = 0; again < 4; again += 1) {
          const answer = await client.exchange(made(each));
          expect(values(answer, "set-cookie")).toEqual([]);
          names.add(nameIn(answer));
        }
        expect(names.size).toBe(1);
      }
    }
  });

  test("a header that a filter sets counts as if the caller had sent it", async () => {
    const listener = '    filters: [{ headers: { request: { set: { x-tenant: "a" } } } }]';
    const proxy = await stickyProxy({ listener, loadBalancing: '{ ring-hash: { key: "header:x-tenant" } }' });
    const client = await caller(proxy);
    const names = new Set<string>();
    for (let again = 0; again < 12; again += 1)
      names.add(nameIn(await client.exchange(request([`X-Tenant: ${again}`]))));
    expect(names.size).toBe(1);
  });
});

describe("a request that waits for a connection", () => {
  test("waits for one to its own endpoint, and another's idle one makes room for it", async () => {
    const proxy = await stickyProxy({
      loadBalancing: '{ ring-hash: { key: "header:x-user" } }',
      serviceLimits: "{ connections: 2 }",
    });
    const names = new Map<number, string>();
    // That 24 users of four endpoints are all with two happens once in 2.7 million runs.
    for (let user = 0; user < 24; user += 1)
      names.set(user, nameIn(await (await caller(proxy)).exchange(request([`X-User: ${user}`]))));
    expect(new Set(names.values()).size).toBeGreaterThan(2);
    for (let round = 0; round < 3; round += 1) {
      const clients = await Promise.all([...names.keys()].map(() => caller(proxy)));
      for (const [user, client] of clients.entries()) client.send(request([`X-User: ${user}`]));
      for (const [user, client] of clients.entries())
        expect(nameIn(await client.answer())).toBe(names.get(user)!);
    }
  });
});

test("StickyCookies makes each value once, and knows the cookies that filters removed or added", () => {
  const cookies = new StickyCookies("http");
  let made = 0;
  const make = () => `value${++made}`;
  expect([cookies.value("a", make), cookies.value("b", make), cookies.value("a", make)]).toEqual([
    "value1",
    "value2",
    "value1",
  ]);
  const bytes = Buffer.from("Set-Cookie: a=own\r\n");
  const source = { bytes, offsets: Int32Array.of(0, 10, 12, 17), count: 1 };
  const named = (fields: string[]) =>
    fields.filter((_, at) => at % 2 === 1).map((cookie) => cookie.split("=")[0]);
  expect(named(cookies.fields({ source, removed: [], added: [] }))).toEqual(["b"]);
  expect(named(cookies.fields({ source, removed: [0], added: [] }))).toEqual(["a", "b"]);
  expect(named(cookies.fields({ source: null, removed: [], added: ["SET-COOKIE", "b=own"] }))).toEqual(["a"]);
});
