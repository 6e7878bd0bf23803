/** The cache between real sockets: callers that leave or dawdle, services that break off, many at the same time. */
import { afterEach, describe, expect, test } from "bun:test";
import { type Message, statusOf, values } from "../../runtime/messages.ts";
import { okAnswer, type RecordedConnection, type UpstreamScript } from "../../runtime/recording-upstream.ts";
import { RunningProxy } from "../../runtime/running-proxy.ts";
import { caller, closeAll, untilEnd, upstreamWith } from "../../runtime/setting.ts";
import { eventually } from "../../runtime/waiting.ts";
import { VirtualClock } from "../../virtual-clock.ts";

afterEach(closeAll);

const get = (path = "/a", fields = "") => `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`;
const kept = (body: string, fields = "") =>
  `HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

async function cached(
  script: UpstreamScript,
  { options = "{}", filters = "", before = "", route = "", services = "" } = {},
) {
  const shop = await upstreamWith(script);
  const clock = new VirtualClock();
  const proxy = untilEnd(
    await RunningProxy.start(
      `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { path: /* }
        to: shop
        ${route}
        filters:
${before}
          - cache: ${options}
${filters}
services:
  shop: { endpoints: ["127.0.0.1:${shop.port}"] }
${services}
`,
      { clock },
    ),
  );
  return { shop, clock, proxy, client: await caller(proxy) };
}

const said = (message: Message) => values(message, "cache-status").join();
const isKept = (proxy: RunningProxy) =>
  proxy.counted.some(({ name }) => name === "clearway_filter_cache_kept_total");

describe("cache, on the wire", () => {
  test("gives what the service gave, length and all", async () => {
    const { shop, client } = await cached({ onRequest: () => kept("hello", "X-Own: 1\r\nx-own: 2\r\n") });
    const first = await client.exchange(get());
    const second = await client.exchange(get());
    for (const answer of [first, second]) {
      expect([answer.start, answer.body, values(answer, "content-length")]).toEqual([
        "HTTP/1.1 200 OK",
        "hello",
        ["5"],
      ]);
      expect(values(answer, "x-own")).toEqual(["1", "2"]);
      expect(values(answer, "transfer-encoding")).toEqual([]);
    }
    expect([values(first, "age"), values(second, "age")]).toEqual([[], ["0"]]);
    const head = await client.exchange(get().replace("GET", "HEAD"), "HEAD");
    expect([head.body, values(head, "content-length")]).toEqual(["", ["5"]]);
    expect(shop.requests).toHaveLength(1);
  });

  test("gives a chunked answer with its length the second time, without its trailers", async () => {
    const chunked =
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n";
    const { client } = await cached({ onRequest: () => chunked });
    const [first, second] = [await client.exchange(get()), await client.exchange(get())];
    expect([first.body, first.trailers.length]).toEqual(["hello", 1]);
    expect([second.body, values(second, "content-length"), values(second, "trailer")]).toEqual([
      "hello",
      ["5"],
      [],
    ]);
  });

  test("sends one of a thousand requests", async () => {
    let connection: RecordedConnection | null = null;
    const { shop, proxy } = await cached({
      onRequest(_, from) {
        connection = from;
        return null;
      },
    });
    const clients = await Promise.all(Array.from({ length: 1000 }, () => caller(proxy)));
    for (const client of clients) client.send(get());
    await shop.request();
    connection!.send(kept("hello"));
    const answers = await Promise.all(clients.map((client) => client.answer()));
    expect(answers.every(({ body }) => body === "hello")).toBe(true);
    expect(shop.requests).toHaveLength(1);
  });

  test("an answer that breaks off half-way is cut off for its caller, and asked for again for the others", async () => {
    let asked = 0;
    const { shop, proxy, client } = await cached({
      onRequest(_, connection) {
        if (++asked > 1) return kept("whole");
        connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhal");
        return null;
      },
    });
    client.send(get());
    await client.until("half of it", () => (client.received.includes("hal") ? true : null));
    const others = await Promise.all([1, 2, 3].map(() => caller(proxy)));
    for (const other of others) other.send(get());
    await eventually("those who wait", () => proxy.open.downstream === 4);
    shop.connections[0]!.reset();
    expect(await client.ended()).not.toBe("open");
    for (const other of others) expect((await other.answer()).body).toBe("whole");
    expect(shop.requests).toHaveLength(2);
  });

  test("when the one who went leaves, another goes", async () => {
    for (const begun of [
      "",
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nhal",
    ]) {
      let asked = 0;
      const { shop, proxy, client } = await cached({
        onRequest: () => (++asked > 1 ? kept("whole") : begun),
      });
      client.send(get());
      await shop.request();
      if (begun !== "")
        await client.until("half of it", () => (client.received.includes("hal") ? true : null));
      const other = await caller(proxy);
      other.send(get());
      await eventually("the one who waits", () => proxy.open.downstream === 2);
      client.close();
      expect((await other.answer()).body).toBe("whole");
      expect(shop.requests).toHaveLength(2);
    }
  });

  test("a caller who takes nothing holds up neither the memory nor the others", async () => {
    const body = "x".repeat(4_000_000);
    const { shop, proxy, client } = await cached(
      { onRequest: () => kept(body) },
      { options: "{ bodyMax: 4MiB }" },
    );
    client.pause();
    client.send(get());
    await eventually("the answer in the memory", () => isKept(proxy));
    const other = await caller(proxy);
    expect((await other.exchange(get())).body).toBe(body);
    client.resume();
    expect((await client.answer()).body).toBe(body);
    expect(shop.requests).toHaveLength(1);
  });

  test("a body that is too large passes as it comes, and holds the service back for a slow caller", async () => {
    const body = "x".repeat(30_000_000);
    const { shop, proxy, client } = await cached({ onRequest: () => kept(body) });
    client.pause();
    client.send(get());
    await shop.request();
    client.resume();
    const answer = await client.answer();
    expect([answer.body === body, said(answer)]).toEqual([true, "clearway; fwd=uri-miss"]);
    expect(isKept(proxy)).toBe(false);
    expect(proxy.counted).toContainEqual({
      ...{ name: "clearway_filter_cache_not_kept_total", route: "/*", why: "too-large" },
    });
  });

  test("asks in the background through the filters further inside, when the caller has its answer", async () => {
    let asked = 0;
    const { shop, clock, proxy, client } = await cached(
      {
        onRequest(_, connection) {
          asked++;
          if (asked === 2) {
            connection.close();
            return null;
          }
          const fields = 'Cache-Control: max-age=1, stale-while-revalidate=60\r\nETag: "a"\r\n';
          return asked === 3
            ? `HTTP/1.1 304 Not Modified\r\n${fields}\r\n`
            : `HTTP/1.1 200 OK\r\n${fields}Content-Length: 5\r\n\r\nhello`;
        },
      },
      {
        filters: "          - retry: { backoff: 1ms }",
        route: "rewrite: { path: /new/* }",
      },
    );
    await client.exchange(get("/a?b=c", "X-Kept: yes\r\n"));
    clock.advance(2000);
    const stale = await client.exchange(get("/a?b=c", "X-Kept: yes\r\nConnection: close\r\n"));
    expect([stale.body, said(stale)]).toEqual(["hello", "clearway; hit; ttl=-1"]);
    expect(await client.ended()).toBe("fin");
    await shop.request(1);
    // The retry waits in virtual time, long after its caller is gone.
    await eventually("the retry", () => {
      clock.advance(1);
      return shop.requests.length === 3;
    });
    await eventually("the end", () => proxy.counted.some(({ result }) => result === "confirmed"));
    const [first, , third] = shop.requests;
    expect(third!.start).toBe("GET /new/a?b=c HTTP/1.1");
    expect(["host", "x-kept", "if-none-match"].map((name) => values(third!, name))).toEqual([
      values(first!, "host"),
      ["yes"],
      ['"a"'],
    ]);
    expect(values(third!, "x-forwarded-for")).toEqual(values(first!, "x-forwarded-for"));
    const fresh = await (await caller(proxy)).exchange(get("/a?b=c"));
    expect(said(fresh)).toBe("clearway; hit; ttl=1");
  });

  test("an answer is not given to whom a filter before it refuses", async () => {
    const { client, shop } = await cached(
      { onRequest: () => kept("secret", "X-A: 1\r\n").replace("max-age", "public, max-age") },
      { before: "          - api-key: { keys: { mobile: 0123456789abcdef } }" },
    );
    const first = await client.exchange(get("/a", "X-Api-Key: 0123456789abcdef\r\n"));
    expect([first.body, said(first)]).toEqual(["secret", "clearway; fwd=uri-miss; stored"]);
    const refused = await client.exchange(get());
    expect([statusOf(refused), refused.body.includes("secret")]).toEqual([401, false]);
    const second = await client.exchange(get("/a", "X-Api-Key: 0123456789abcdef\r\n"));
    expect([second.body, shop.requests.length]).toEqual(["secret", 1]);
  });

  test("what a filter before it took out still tells that the answer is one caller's", async () => {
    const { client, shop } = await cached(
      { onRequest: () => kept("own") },
      { before: "          - api-key: { keys: { mobile: 0123456789abcdef } }" },
    );
    for (let i = 0; i < 2; i++) await client.exchange(get("/a", "X-Api-Key: 0123456789abcdef\r\n"));
    expect(shop.requests).toHaveLength(2);
  });

  test("fields that are not in the key poison nothing that Vary names, nor what is rewritten", async () => {
    const { client, shop } = await cached(
      {
        onRequest: (request) =>
          kept(values(request, "x-forwarded-host").join() || "none", "Vary: X-Forwarded-Host\r\n"),
      },
      { route: "rewrite: { host: shop.internal }" },
    );
    const evil = get().replace("shop.example", "evil.example");
    expect((await client.exchange(evil)).body).toBe("evil.example");
    expect((await client.exchange(get())).body).toBe("shop.example");
    expect(shop.requests.every((request) => values(request, "host")[0] === "shop.internal")).toBe(true);
    const { client: other } = await cached(
      { onRequest: (request) => kept(values(request, "x-forwarded-host").join()) },
      { route: "rewrite: { host: shop.internal }" },
    );
    expect((await other.exchange(evil)).body).toBe("evil.example");
    expect((await other.exchange(get())).body).toBe("shop.example");
  });

  test("a request with a body, and one of another protocol, pass as they are", async () => {
    const { client, shop } = await cached({
      onRequest: (request) =>
        request.start.startsWith("GET /up")
          ? "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
          : kept(request.body),
    });
    for (const body of ["one", "two"]) {
      const answer = await client.exchange(get("/a", `Content-Length: 3\r\n`) + body);
      expect([answer.body, said(answer)]).toEqual([body, "clearway; fwd=bypass"]);
    }
    expect(shop.requests).toHaveLength(2);
    const upgraded = await client.exchange(get("/up", "Connection: upgrade\r\nUpgrade: echo\r\n"));
    expect(statusOf(upgraded)).toBe(101);
  });

  test("survives a reload", async () => {
    const { shop, client, proxy } = await cached({ onRequest: () => okAnswer });
    const text = (ttl: string) => `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - { match: { path: /* }, to: shop, filters: [{ cache: { ttl: ${ttl} } }] }
services: { shop: { endpoints: ["127.0.0.1:${shop.port}"] } }
`;
    await proxy.apply(text("1m"));
    await client.exchange(get());
    await proxy.apply(text("2m"));
    expect((await client.exchange(get())).body).toBe("ok");
    expect(shop.requests).toHaveLength(1);
  });
});
