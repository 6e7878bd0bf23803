/** Sendings that go on when their caller's request is over, and bodies that are read for another purpose than the caller's. */
import { afterEach, describe, expect, test } from "bun:test";
import retry from "../../src/filters/retry.ts";
import { defineFilter, type FilterDefinition, type Send, type UpstreamFilter, z } from "../../src/plugin.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { type Message, values } from "./messages.ts";
import { okAnswer } from "./recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "./setting.ts";
import { eventually } from "./waiting.ts";

afterEach(closeAll);

const host = "Host: shop.example\r\n";
const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

async function proxyWith(
  upstream: UpstreamFilter,
  { ports = [] as number[], filters = "[apart]", route = "" },
) {
  const apart = defineFilter({
    ...{ name: "apart", summary: "Sends as the test says", options: z.unknown() },
    upstream: () => upstream,
  });
  const clock = new VirtualClock();
  const known = new Map<string, FilterDefinition>([
    ["apart", apart],
    ["retry", retry],
  ]);
  const text = { ports, route: `        filters: ${filters}\n${route}` };
  return { clock, proxy: await proxyTo(text, { clock, filters: known }) };
}

/** Answers at once, and hands what is sent apart to the test. */
function apartFrom(sent: Promise<Response>[], change: Parameters<Send>[0] = {}): UpstreamFilter {
  return async (call, send) => {
    const sending = send({ request: call.copy(), detached: true, ...change });
    sending.catch(() => {});
    sent.push(sending);
    return new Response("at once");
  };
}

describe("a detached sending", () => {
  const fieldsOf = ({ fields }: Message) =>
    fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`).toSorted();

  test("is what the service would get, and no matter of the next request on the connection", async () => {
    const shop = await upstreamWith({ onRequest: () => okAnswer });
    const sent: Promise<Response>[] = [];
    let mode: UpstreamFilter = (_, send) => send();
    const route = "        rewrite: { path: /new/* }";
    const { proxy } = await proxyWith((call, send) => mode(call, send), { ports: [shop.port], route });
    const client = await caller(proxy);
    const request = `GET /a?b=c HTTP/1.1\r\n${host}X-Kept: yes\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n`;
    await client.exchange(request);
    mode = apartFrom(sent);
    client.send(`${request}POST /b HTTP/1.1\r\n${host}X-Other: 1\r\nContent-Length: 2\r\n\r\nhi`);
    for (let i = 0; i < 2; i++) expect((await client.answer()).body).toBe("at once");
    expect(await (await sent[0]!).text()).toBe("ok");
    await shop.request(2);
    const [plain, copy] = shop.requests;
    expect(copy!.start).toBe("GET /new/a?b=c HTTP/1.1");
    expect([copy!.start, fieldsOf(copy!)]).toEqual([plain!.start, fieldsOf(plain!)]);
  });

  test("goes through the filters further inside when its caller is gone, each time to another endpoint", async () => {
    let fails = 0;
    const services = await Promise.all(
      [1, 2, 3].map(() => upstreamWith({ onRequest: () => (fails-- > 0 ? busy : okAnswer) })),
    );
    const sent: Promise<Response>[] = [];
    let mode: UpstreamFilter = (_, send) => send();
    const { proxy, clock } = await proxyWith((call, send) => mode(call, send), {
      ports: services.map(({ port }) => port),
      filters: "[apart, retry: { attempts: 3, backoff: 10ms }]",
    });
    const client = await caller(proxy);
    await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
    // The budget of the retries, which begins with the first request, saves up.
    clock.advance(2000);
    const before = services.map(({ requests }) => requests.length);
    [fails, mode] = [2, apartFrom(sent)];
    await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
    client.close();
    let body = "";
    sent[0]!.then(async (response) => {
      body = await response.text();
    });
    await eventually("the answer", () => {
      clock.advance(1);
      return body === "ok";
    });
    expect(services.map(({ requests }, i) => requests.length - before[i]!)).toEqual([1, 1, 1]);
  });

  test("has the route's time, or less, and is given up by its signal", async () => {
    const shop = await upstreamWith({ onRequest: () => null });
    for (const [change, route, waitMs] of [
      [{}, "        timeout: 3s", 3000],
      [{ timeoutMs: 1000 }, "        timeout: 3s", 1000],
      [{ timeoutMs: 9000 }, "        timeout: 3s", 3000],
    ] as const) {
      const sent: Promise<Response>[] = [];
      const { proxy, clock } = await proxyWith(apartFrom(sent, change), { ports: [shop.port], route });
      const before = shop.requests.length;
      await (await caller(proxy)).exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
      await shop.request(before);
      let failed = "";
      sent[0]!.catch((error) => {
        failed = error.kind;
      });
      clock.advance(waitMs - 1);
      for (let turn = 0; turn < 50; turn++) await null;
      expect(failed).toBe("");
      clock.advance(1);
      await eventually("the failure", () => failed === "upstream-timeout");
    }
    const sent: Promise<Response>[] = [];
    const giveUp = new AbortController();
    const { proxy } = await proxyWith(apartFrom(sent, { signal: giveUp.signal }), { ports: [shop.port] });
    const before = shop.connections.length;
    await (await caller(proxy)).exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
    const connection = await shop.connection(before);
    await eventually("the request", () => connection.requests.length === 1);
    giveUp.abort();
    await expect(sent[0]!).rejects.toMatchObject({ kind: "cancelled" });
    await eventually("the end of its connection", () => connection.peer !== "open");
  });
});

describe("a body that a filter reads beside its caller", () => {
  const whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

  function reading(found: string[]): UpstreamFilter {
    return async (_, send) => {
      const response = await send();
      response
        .clone()
        .text()
        .then(
          (text) => found.push(text),
          (error: { kind: string }) => found.push(error.kind),
        );
      return response;
    };
  }

  test("is whole when the caller got all of it", async () => {
    const shop = await upstreamWith({ onRequest: () => whole });
    const found: string[] = [];
    const { proxy } = await proxyWith(reading(found), { ports: [shop.port] });
    const answer = await (await caller(proxy)).exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
    expect([answer.body, values(answer, "content-length")]).toEqual(["hello", ["5"]]);
    await eventually("its end", () => found.length === 1);
    expect(found).toEqual(["hello"]);
  });

  test("fails when the caller leaves in the middle", async () => {
    const shop = await upstreamWith({ onRequest: () => whole.slice(0, -2) });
    const found: string[] = [];
    const { proxy } = await proxyWith(reading(found), { ports: [shop.port] });
    const client = await caller(proxy);
    client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
    await client.until("half of it", () => (client.received.endsWith("hel") ? true : null));
    client.close();
    await eventually("the failure", () => found.length === 1);
    expect(found).toEqual(["caller-left"]);
  });
});
