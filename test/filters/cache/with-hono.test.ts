/** The cache with Hono's middlewares around it, and those with each other: what they do to an answer is never kept. */
import { afterEach, describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { type Message, statusOf, values } from "../../runtime/messages.ts";
import { RunningProxy } from "../../runtime/running-proxy.ts";
import { caller, closeAll, untilEnd, upstreamWith } from "../../runtime/setting.ts";

afterEach(closeAll);

const text = "all work and no play ".repeat(200);
const small = "small";

async function chain(filters: readonly string[], fields = "", body = text) {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: max-age=60\r\n${fields}`;
  const shop = await upstreamWith({
    onRequest: () => `${head}Content-Length: ${body.length}\r\n\r\n${body}`,
  });
  const list = filters.map((filter) => `          - ${filter}`).join("\n");
  const proxy = untilEnd(
    await RunningProxy.start(`
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { path: /* }
        to: shop
        filters:
${list}
services: { shop: { endpoints: ["127.0.0.1:${shop.port}"] } }
`),
  );
  const client = await caller(proxy);
  return {
    shop,
    send: (sent = "", start = "GET /a") =>
      client.exchange(`${start} HTTP/1.1\r\nHost: shop.example\r\n${sent}\r\n`, start.split(" ")[0]),
  };
}

const unzipped = ({ body }: Message) => gunzipSync(Buffer.from(body, "latin1")).toString();
const GZIP = "Accept-Encoding: gzip\r\n";
const varied = (message: Message) =>
  values(message, "vary")
    .join(",")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "")
    .toSorted();

describe("hono/compress around cache", () => {
  test("compresses what is kept for who takes it, and gives it plain to others", async () => {
    const { shop, send } = await chain(["hono/compress", "cache"], 'ETag: "a"\r\n');
    for (const round of ["miss", "hit"]) {
      const zipped = await send(GZIP);
      expect([round, values(zipped, "content-encoding"), values(zipped, "etag")]).toEqual([
        round,
        ["gzip"],
        ['W/"a"'],
      ]);
      expect([unzipped(zipped), varied(zipped)]).toEqual([text, ["accept-encoding"]]);
      const plain = await send();
      expect([plain.body, values(plain, "content-encoding"), values(plain, "etag")]).toEqual([
        text,
        [],
        ['"a"'],
      ]);
      expect(varied(plain)).toEqual(["accept-encoding"]);
      expect(values(plain, "content-length")).toEqual([String(text.length)]);
    }
    expect(shop.requests).toHaveLength(1);
  });

  test("answers 304 to the weak tag that it made", async () => {
    const { shop, send } = await chain(["hono/compress", "cache"], 'ETag: "a"\r\n');
    const tag = values(await send(GZIP), "etag")[0]!;
    for (const accepted of [GZIP, ""])
      expect(statusOf(await send(`${accepted}If-None-Match: ${tag}\r\n`))).toBe(304);
    expect(shop.requests).toHaveLength(1);
  });

  test("leaves what is small as it is, kept or not", async () => {
    const { send } = await chain(["hono/compress", "cache"], "", small);
    for (let i = 0; i < 2; i++) {
      const answer = await send(GZIP);
      expect([answer.body, values(answer, "content-encoding")]).toEqual([small, []]);
    }
  });

  test("leaves alone what the service compressed, which is kept for who takes it", async () => {
    const { shop, send } = await chain(
      ["hono/compress", "cache"],
      "Content-Encoding: br\r\nVary: Accept-Encoding\r\n",
    );
    for (let i = 0; i < 2; i++) {
      const answer = await send(GZIP);
      expect([values(answer, "content-encoding"), varied(answer)]).toEqual([["br"], ["accept-encoding"]]);
    }
    await send();
    expect(shop.requests).toHaveLength(2);
  });
});

describe("hono/etag around cache", () => {
  test("gives what is kept its tag, and answers 304 by it", async () => {
    const { shop, send } = await chain(["hono/etag", "cache"]);
    const [first, second] = [await send(), await send()];
    const tags = [first, second].map((answer) => values(answer, "etag"));
    expect(tags[0]).toHaveLength(1);
    expect(tags[1]).toEqual(tags[0]!);
    expect([first.body, second.body]).toEqual([text, text]);
    expect(statusOf(await send(`If-None-Match: ${tags[0]![0]}\r\n`))).toBe(304);
    expect(statusOf(await send('If-None-Match: "other"\r\n'))).toBe(200);
    expect(shop.requests).toHaveLength(1);
  });

  test("leaves the service's own tag, which the cache answers by", async () => {
    const { shop, send } = await chain(["hono/etag", "cache"], 'ETag: "a"\r\n');
    for (let i = 0; i < 2; i++) {
      const answer = await send('If-None-Match: "a"\r\n');
      expect([statusOf(answer), values(answer, "etag"), answer.body]).toEqual([304, ['"a"'], ""]);
    }
    expect(shop.requests).toHaveLength(1);
  });
});

describe("hono/cors around cache", () => {
  const cors = "hono/cors: { origin: [https://a.example, https://b.example], credentials: true }";

  test("tells each site its own name, of one kept answer", async () => {
    const { shop, send } = await chain([cors, "cache"]);
    for (const origin of ["https://a.example", "https://b.example", "https://a.example"]) {
      const answer = await send(`Origin: ${origin}\r\n`);
      expect([values(answer, "access-control-allow-origin"), varied(answer)]).toEqual([[origin], ["origin"]]);
      expect(values(answer, "access-control-allow-credentials")).toEqual(["true"]);
    }
    const other = await send("Origin: https://evil.example\r\n");
    expect(values(other, "access-control-allow-origin")).toEqual([]);
    expect(shop.requests).toHaveLength(1);
  });

  test("answers questions before a request itself", async () => {
    const { shop, send } = await chain([cors, "cache"]);
    const answer = await send(
      "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n",
      "OPTIONS /a",
    );
    expect([statusOf(answer), shop.requests.length]).toEqual([204, 0]);
  });
});

describe("all of them in one chain", () => {
  const all = [
    "hono/secure-headers",
    "hono/cors: { origin: [https://a.example, https://b.example] }",
    "hono/csrf: { origin: https://a.example }",
    "hono/compress",
    "hono/etag",
    "cache",
    "retry",
  ];

  test("each does its own to a kept answer as to a new one", async () => {
    const { shop, send } = await chain(all, 'Vary: Accept-Language\r\nETag: "a"\r\n');
    const fields = (origin: string) => `${GZIP}Origin: ${origin}\r\n`;
    for (const origin of ["https://a.example", "https://b.example", "https://a.example"]) {
      const answer = await send(fields(origin));
      expect(unzipped(answer)).toBe(text);
      expect(varied(answer)).toEqual(["accept-encoding", "accept-language", "origin"]);
      expect(values(answer, "access-control-allow-origin")).toEqual([origin]);
      expect(values(answer, "x-content-type-options")).toEqual(["nosniff"]);
      expect(values(answer, "etag")).toEqual(['W/"a"']);
    }
    const known = await send(`${fields("https://b.example")}If-None-Match: W/"a"\r\n`);
    expect([statusOf(known), known.body]).toEqual([304, ""]);
    expect(values(known, "access-control-allow-origin")).toEqual(["https://b.example"]);
    expect(values(known, "x-content-type-options")).toEqual(["nosniff"]);
    expect(shop.requests).toHaveLength(1);
  });

  test("a HEAD says what a GET would, but for what only a body tells", async () => {
    const { send } = await chain(all, 'ETag: "a"\r\n');
    await send();
    const head = await send("Origin: https://a.example\r\n", "HEAD /a");
    expect([statusOf(head), head.body, values(head, "content-length")]).toEqual([
      200,
      "",
      [String(text.length)],
    ]);
    expect(values(head, "x-content-type-options")).toEqual(["nosniff"]);
    expect(values(head, "access-control-allow-origin")).toEqual(["https://a.example"]);
  });

  test("a form of another site is refused before it changes anything", async () => {
    const { shop, send } = await chain(all);
    await send();
    const form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n";
    const evil = await send(`${form}Origin: https://evil.example\r\n`, "POST /a");
    expect([statusOf(evil), values(evil, "x-clearway-reason")]).toEqual([403, ["refused-by-filter"]]);
    expect(values(evil, "x-content-type-options")).toEqual(["nosniff"]);
    await send();
    expect(shop.requests).toHaveLength(1);
    expect(statusOf(await send(`${form}Origin: https://a.example\r\n`, "POST /a"))).toBe(200);
    await send();
    expect(shop.requests).toHaveLength(3);
  });

  test("what the cache refuses has their fields too", async () => {
    const { send } = await chain(all);
    const none = await send("Cache-Control: only-if-cached\r\nOrigin: https://a.example\r\n");
    expect([statusOf(none), values(none, "x-clearway-reason")]).toEqual([504, ["not-cached"]]);
    expect(values(none, "access-control-allow-origin")).toEqual(["https://a.example"]);
  });
});
