/** Answers and bodies that code between the sockets holds back: nothing that came is lost, nothing that failed looks whole. */

import { afterEach, describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { host as thisHost } from "../../../src/host/index.ts";
import { defineFilter, z } from "../../../src/plugin.ts";
import { RETAINED_BYTES_MAX } from "../../../src/runtime/fetch/body-limits.ts";
import type { FilterDefinition, Middleware } from "../../../src/types.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import type { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordingUpstream } from "../recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { WatchedSockets } from "../watched-sockets.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const ok = "HTTP/1.1 200 OK\r\n";

afterEach(closeAll);

function filterOf(middleware: Middleware) {
  const definition = defineFilter({
    name: "under-test",
    summary: "What the test says",
    options: z.unknown(),
    middleware: () => middleware,
  });
  return new Map([["under-test", definition as FilterDefinition]]);
}

/** A filter that keeps the answer until the test lets it go. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let reached = false;
  const filters = filterOf(async (_c, next) => {
    await next();
    reached = true;
    await opened;
  });
  return {
    filters,
    open: () => open(),
    reached: () => eventually("the answer at the filter", () => reached),
  };
}

const listener = "    filters: [under-test]";

describe("an answer that a filter holds back", () => {
  async function held(
    bytes: string,
    end: (upstream: RecordingUpstream, watched: WatchedSockets) => Promise<unknown>,
  ): Promise<RawClient> {
    const upstream = await upstreamWith({ onRequest: () => bytes });
    const { filters, open, reached } = gate();
    const watched = new WatchedSockets(thisHost.sockets);
    const { sockets } = watched;
    const proxy = await proxyTo({ ports: [upstream.port], listener }, { filters, sockets });
    const client = await caller(proxy);
    client.send(get);
    await reached();
    await end(upstream, watched);
    open();
    return client;
  }

  /** The service is gone before anybody reads its answer. */
  const closed = (upstream: RecordingUpstream, watched: WatchedSockets) => {
    upstream.connections[0]!.finish();
    return watched.serviceEnded();
  };

  const whole = [
    ["with a length", `${ok}Connection: close\r\nContent-Length: 5\r\n\r\nhello`],
    ["chunked", `${ok}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ["that ends with the connection", `${ok}\r\nhello`],
  ] as const;
  for (const [name, bytes] of whole) {
    test(`arrives whole though the service closed meanwhile: ${name}`, async () => {
      const client = await held(bytes, closed);
      expect((await client.answer()).body).toBe("hello");
    });
  }

  test("arrives whole and empty though the service closed meanwhile", async () => {
    const client = await held(`${ok}X-A: 1\r\n\r\n`, closed);
    expect((await client.answer()).body).toBe("");
  });

  for (const [name, bytes] of [
    ["with a length", `${ok}Content-Length: 6\r\n\r\nhello`],
    ["chunked", `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
  ] as const) {
    test(`is cut off when the service closed before its end: ${name}`, async () => {
      const client = await held(bytes, closed);
      expect(await client.ended()).toBe("reset");
    });
  }

  test("flows on when more came meanwhile than is held", async () => {
    const body = "x".repeat(2 << 20);
    const client = await held(`${ok}Content-Length: ${body.length}\r\n\r\n${body}`, () => sleep(10));
    expect((await client.answer()).body.length).toBe(body.length);
  });

  test("is cut off when it was held longer than a body may be silent", async () => {
    const clock = new VirtualClock();
    const upstream = await upstreamWith({ onRequest: () => `${ok}Content-Length: 6\r\n\r\nhello` });
    const { filters, open, reached } = gate();
    const limits = "{ routeTimeout: 60m }";
    const proxy = await proxyTo({ ports: [upstream.port], listener, limits }, { filters, clock });
    const client = await caller(proxy);
    client.send(get);
    await reached();
    clock.advance(310_000);
    open();
    expect(await client.ended()).toBe("reset");
  });
});

describe("a stream that a filter makes", () => {
  test("is cancelled when the caller leaves", async () => {
    let cancelled = false;
    const stream = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(Buffer.from("first")),
        cancel: () => {
          cancelled = true;
        },
      });
    const filters = filterOf(async () => new Response(stream()));
    const proxy = await proxyTo({ ports: [1], listener }, { filters });
    const client = await caller(proxy);
    client.send(get);
    await client.until("the first bytes", () => (client.received.includes("first") ? true : null));
    client.close();
    await eventually("the cancelling", () => cancelled);
    expect(proxy.runtime.report().activeRequests).toBe(0);
  });

  test("that fails cuts the answer off", async () => {
    const failing = () =>
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(Buffer.from("first")),
        pull: () => Promise.reject(new Error("no more")),
      });
    const filters = filterOf(async () => new Response(failing()));
    const proxy = await proxyTo({ ports: [1], listener }, { filters });
    const client = await caller(proxy);
    client.send(get);
    expect(await client.ended()).toBe("reset");
  });

  test("is framed for HTTP/1.1 by chunks, for HTTP/1.0 by the end", async () => {
    const filters = filterOf(async () => new Response(new Blob(["hello"]).stream()));
    const proxy = await proxyTo({ ports: [1], listener }, { filters });
    const client = await caller(proxy);
    expect((await client.exchange(get)).body).toBe("hello");
    const answer = await client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect([answer.body, values(answer, "connection")]).toEqual(["hello", ["close"]]);
  });
});

describe("a request's body that the service does not read", () => {
  test("is the service's delay: 504, not the caller's 408", async () => {
    const clock = new VirtualClock();
    const upstream = await upstreamWith({ onConnect: (connection) => connection.pause() });
    const watched = new WatchedSockets(thisHost.sockets);
    const proxy = await proxyTo({ ports: [upstream.port] }, { clock, sockets: watched.sockets });
    const client = await caller(proxy);
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: ${64 << 20}\r\n\r\n${"x".repeat(32 << 20)}`);
    await upstream.connection();
    await watched.stalled();
    clock.advance(310_000);
    const answer = await client.answer();
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([504, "upstream-timeout"]);
  });

  test("that a filter read for itself is asked for with 100, once", async () => {
    const upstream = await upstreamWith({ onRequest: () => okAnswer });
    const filters = filterOf(async (c) => new Response(`got ${await c.req.text()}`));
    const proxy = await proxyTo({ ports: [upstream.port], listener }, { filters });
    const client = await caller(proxy);
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
    expect(statusOf(await client.next())).toBe(100);
    client.send("hello");
    expect((await client.next()).body).toBe("got hello");
    expect((await client.exchange(get)).body).toBe("got ");
    expect(upstream.bytes).toBe(0);
  });

  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  for (const [framing, body] of [
    [`Content-Length: ${RETAINED_BYTES_MAX + 1}`, ""],
    ["Transfer-Encoding: chunked", chunk.repeat(RETAINED_BYTES_MAX / 65_536 + 1)],
  ] as const) {
    test(`that a filter reads whole and that is larger than it may hold is refused (${framing})`, async () => {
      const upstream = await upstreamWith({ onRequest: () => okAnswer });
      const filters = filterOf(async (c) => new Response(await c.req.text()));
      const proxy = await proxyTo({ ports: [upstream.port], listener }, { filters });
      const client = await caller(proxy);
      client.send(`POST / HTTP/1.1\r\n${host}${framing}\r\n\r\n${body}`);
      const answer = await client.answer();
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([413, "body-too-large"]);
      expect(values(answer, "connection")).toEqual(["close"]);
      expect(upstream.bytes).toBe(0);
      expect(proxy.log).toEqual([]);
    });
  }

  test("that a filter did not read is dropped, and what follows it is the next request", async () => {
    const filters = filterOf(async () => new Response("no"));
    const proxy = await proxyTo({ ports: [1], listener }, { filters });
    const client = await caller(proxy);
    const body = "GET /smuggled HTTP/1.1\r\n\r\n";
    client.send(`POST / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}${get}`);
    expect((await client.answer()).body).toBe("no");
    expect((await client.answer()).body).toBe("no");
    await sleep(5);
    expect(client.unread).toBe("");
  });
});
