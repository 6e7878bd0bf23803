/** Filters that go on after their request was answered, while the connection carries the next one. */
import { afterEach, expect, test } from "bun:test";
import { defineFilter, z } from "../../src/plugin.ts";
import type { FilterDefinition, Middleware } from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { statusOf, values } from "./messages.ts";
import type { RawClient } from "./raw-client.ts";
import type { RecordingUpstream } from "./recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "./setting.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

interface Scene {
  readonly client: RawClient;
  readonly upstream: RecordingUpstream;
  readonly clock: VirtualClock;
}

/** One connection through the filter, which is given as a function of the request's path. */
async function through(filter: Middleware): Promise<Scene> {
  const definition = defineFilter({
    name: "under-test",
    summary: "What the test says",
    options: z.unknown(),
    middleware: () => filter,
  });
  const filters = new Map([["under-test", definition as FilterDefinition]]);
  const upstream = await upstreamWith();
  const clock = new VirtualClock();
  const listener = "    filters: [under-test]";
  const proxy = await proxyTo({ ports: [upstream.port], listener }, { filters, clock });
  return { client: await caller(proxy), upstream, clock };
}

const host = "Host: shop.example\r\n";

test("a filter that goes on after its answer sees its own request, not the next one of the connection", async () => {
  let look: (() => unknown) | null = null;
  const { client } = await through(async (c, next) => {
    if (c.req.path !== "/first") return next();
    look = () => [c.req.method, c.req.url, c.req.path, c.req.query("q"), c.req.header("x-mine")];
    return new Response("early");
  });
  await client.exchange(`PUT /first?q=1 HTTP/1.1\r\n${host}X-Mine: yes\r\nContent-Length: 0\r\n\r\n`);
  await client.exchange("GET /second?q=2 HTTP/1.1\r\nHost: other.example\r\n\r\n");
  expect(look!()).toEqual(["PUT", "http://shop.example/first?q=1", "/first", "1", "yes"]);
});

test("a filter that reads its body after its answer gets nothing of the next request's", async () => {
  let read: (() => Promise<string>) | null = null;
  const { client, upstream } = await through(async (c, next) => {
    if (c.req.path !== "/first") return next();
    read = () => c.req.text().catch((error: Error) => `failed: ${error.message}`);
    return new Response("early");
  });
  await client.exchange(`POST /first HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\n`, "POST");
  client.send(`firstPOST /second HTTP/1.1\r\n${host}Content-Length: 6\r\n\r\nse`);
  await upstream.until("the second head", () => (upstream.bytes > 0 ? true : null));
  const late = read!();
  client.send("cond");
  expect(statusOf(await client.answer("POST"))).toBe(200);
  expect((await upstream.request()).body).toBe("second");
  expect(await late).toStartWith("failed:");
});

test("a filter that cancels its body after its answer leaves the next request whole", async () => {
  let cancel = () => {};
  const { client, upstream } = await through(async (c, next) => {
    if (c.req.path !== "/first") return next();
    const { body } = c.req.raw;
    cancel = () => void body?.cancel();
    return new Response("early");
  });
  await client.exchange(`POST /first HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nfirst`, "POST");
  client.send(`POST /second HTTP/1.1\r\n${host}Content-Length: 6\r\n\r\nse`);
  await upstream.until("the second head", () => (upstream.bytes > 0 ? true : null));
  cancel();
  client.send("cond");
  const answer = await client.answer("POST");
  expect([statusOf(answer), values(answer, "connection")]).toEqual([200, []]);
  expect((await upstream.request()).body).toBe("second");
});

test("a filter that reads a body when its request is given up is told", async () => {
  let outcome: string | null = null;
  const { client, clock } = await through(async (c) => {
    outcome = "";
    outcome = await c.req.text().catch((error: Error) => error.message);
    return new Response("late");
  });
  client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\npart`);
  await eventually("the filter", () => outcome !== null);
  clock.advance(6 * 60_000);
  expect(statusOf(await client.answer("POST"))).toBe(408);
  expect<string | null>(outcome).toBe("the request is over");
});

test("a filter that calls next() after its request was given up sends nothing to a service", async () => {
  let goOn: (() => void) | null = null;
  let ended = false;
  const { client, upstream, clock } = await through(async (c, next) => {
    if (c.req.path !== "/first") return next();
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await next();
    ended = true;
  });
  client.send(`GET /first HTTP/1.1\r\n${host}\r\n`);
  await eventually("the filter", () => goOn !== null);
  clock.advance(16_000);
  expect(statusOf(await client.answer())).toBe(504);
  goOn!();
  await client.exchange(`GET /second HTTP/1.1\r\n${host}\r\n`);
  expect(upstream.requests.map(({ start }) => start)).toEqual(["GET /second HTTP/1.1"]);
  expect(ended).toBe(true);
});
