/** Calling a service: endpoints that cannot be reached are passed over, limits towards it are kept. */
import { afterEach, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import type { RawClient } from "../raw-client.ts";
import { okAnswer, RecordingUpstream } from "../recording-upstream.ts";
import { caller, closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const post = `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`;

afterEach(closeAll);

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const upstream = await RecordingUpstream.start();
  upstream.stop();
  return upstream.port;
}

describe("an endpoint that cannot be reached", () => {
  test("is passed over for two others, for a request with a body too", async () => {
    const upstream = await upstreamWith();
    const dead = [await deadPort(), await deadPort()];
    const proxy = await proxyTo({ ports: [...dead, upstream.port] });
    const client = await caller(proxy);
    for (let i = 0; i < 6; i++) expect(statusOf(await client.exchange(i % 2 === 0 ? get : post))).toBe(200);
    expect(upstream.requests.length).toBe(6);
  });

  test("is told when all three that may be tried are such", async () => {
    const dead = [await deadPort(), await deadPort(), await deadPort(), await deadPort()];
    const proxy = await proxyTo({ ports: dead });
    const client = await caller(proxy);
    const answer = await client.exchange(get);
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([503, "no-healthy-endpoint"]);
    expect(values(answer, "connection")).toEqual([]);
    expect((await client.exchange(post)).body).toStartWith("no-healthy-endpoint: ");
  });

  test("is a 503 no-healthy-endpoint through filters as well", async () => {
    const proxy = await proxyTo({ ports: [await deadPort()], listener: "    filters: [request-id]" });
    const client = await caller(proxy);
    const answer = await client.exchange(post);
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([503, "no-healthy-endpoint"]);
    expect(values(answer, "x-request-id").length).toBe(1);
  });
});

describe("limits towards a service", () => {
  const overloaded = [503, "service-overloaded"];

  async function outcome(client: RawClient): Promise<unknown[]> {
    const answer = await client.answer();
    return [statusOf(answer), ...values(answer, "x-clearway-reason")];
  }

  test("requests: the third of two is refused; a finished one makes room", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port], serviceLimits: "{ requests: 2 }" });
    const clients = await Promise.all([1, 2, 3].map(() => caller(proxy)));
    for (const [index, client] of clients.slice(0, 2).entries()) {
      client.send(get);
      await upstream.request(index);
    }
    clients[2]!.send(get);
    expect(await outcome(clients[2]!)).toEqual(overloaded);
    upstream.connections[0]!.send(okAnswer);
    expect(await outcome(clients[0]!)).toEqual([200]);
    clients[2]!.send(get);
    await upstream.request(2);
    expect(upstream.requests.length).toBe(3);
  });

  test("connections and pending: one waits in line, the next is refused; who waits is served in turn", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port], serviceLimits: "{ connections: 1, pending: 1 }" });
    const [first, second, third] = await Promise.all([caller(proxy), caller(proxy), caller(proxy)]);
    first.send(get);
    await upstream.request();
    second.send(post);
    await eventually("a waiter", () => proxy.runtime.report().services[0]!.waiting === 1);
    third.send(get);
    expect(await outcome(third)).toEqual(overloaded);
    upstream.connections[0]!.send(okAnswer);
    expect(await outcome(first)).toEqual([200]);
    expect((await upstream.request(1)).body).toBe("hi");
    upstream.connections[0]!.send(okAnswer);
    expect(await outcome(second)).toEqual([200]);
    expect(upstream.connections.length).toBe(1);
  });

  test("connections: who waits is served when the busy one fails", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port], serviceLimits: "{ connections: 1 }" });
    const [first, second] = await Promise.all([caller(proxy), caller(proxy)]);
    first.send(get);
    await upstream.request();
    second.send(get);
    await eventually("a waiter", () => proxy.runtime.report().services[0]!.waiting === 1);
    upstream.script = { onRequest: () => okAnswer };
    upstream.connections[0]!.reset();
    expect(await outcome(first)).toEqual([502, "upstream-reset"]);
    expect(await outcome(second)).toEqual([200]);
  });

  test("pending: a caller that leaves the line makes room in it", async () => {
    const upstream = await upstreamWith({});
    const proxy = await proxyTo({ ports: [upstream.port], serviceLimits: "{ connections: 1, pending: 1 }" });
    const [first, second, third] = await Promise.all([caller(proxy), caller(proxy), caller(proxy)]);
    first.send(get);
    await upstream.request();
    second.send(get);
    await eventually("a waiter", () => proxy.runtime.report().services[0]!.waiting === 1);
    second.close();
    await eventually("the end of the second", () => proxy.runtime.report().activeRequests === 1);
    third.send(get);
    upstream.script = { onRequest: () => okAnswer };
    for (const connection of upstream.connections) connection.script = upstream.script;
    upstream.connections[0]!.send(okAnswer);
    expect(await outcome(first)).toEqual([200]);
    expect(await outcome(third)).toEqual([200]);
  });
});
