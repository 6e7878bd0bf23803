/** A node that stops: what is idle closes, what is under way ends, what does not end is cut off. */
import { afterEach, describe, expect, test } from "bun:test";
import { host as thisHost } from "../../../src/host/index.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import { okAnswer, RecordingUpstream, type UpstreamScript } from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { WatchedSockets } from "../watched-sockets.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const longMs = 60_000;
/** More than an idle connection is kept for a request that was on its way. */
const nextRequestMs = 2_000;

const open: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

async function setting(script: UpstreamScript, listener = "") {
  const upstream = await RecordingUpstream.start(script);
  const watched = new WatchedSockets(thisHost.sockets);
  const { sockets } = watched;
  const clock = new VirtualClock();
  const proxy = await RunningProxy.start(gateway({ ports: [upstream.port], listener }), { sockets, clock });
  const port = proxy.port();
  const client = await RawClient.open(port);
  open.push({ stop: () => client.close() }, proxy, upstream);
  return { upstream, proxy, port, client, watched, clock };
}

describe("draining", () => {
  test("accepts no more connections", async () => {
    const { proxy, port, client } = await setting({});
    const drained = proxy.runtime.drain(longMs);
    expect(
      await RawClient.open(port).then(
        () => "open",
        () => "refused",
      ),
    ).toBe("refused");
    client.close();
    expect(await drained).toEqual({ forced: 0 });
  });

  test("closes idle connections", async () => {
    const { proxy, client, clock } = await setting({ onRequest: () => okAnswer });
    await client.exchange(get);
    const drained = proxy.runtime.drain(longMs);
    clock.advance(nextRequestMs);
    expect(await client.ended()).toBe("fin");
    client.close();
    expect(await drained).toEqual({ forced: 0 });
  });

  test("lets a request come that was on its way on an idle connection", async () => {
    const { proxy, client } = await setting({ onRequest: () => okAnswer });
    await client.exchange(get);
    const drained = proxy.runtime.drain(longMs);
    expect(values(await client.exchange(get), "connection")).toEqual(["close"]);
    expect(await client.ended()).toBe("fin");
    client.close();
    expect(await drained).toEqual({ forced: 0 });
  });

  test("closes a connection soon after an answer that began before", async () => {
    const { proxy, client, upstream, clock } = await setting({
      onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe",
    });
    client.send(get);
    await client.until("the start", () => (client.received.endsWith("he") ? true : null));
    const drained = proxy.runtime.drain(longMs);
    upstream.connections[0]!.send("ll");
    expect((await client.answer()).body).toBe("hell");
    clock.advance(nextRequestMs);
    expect(await client.ended()).toBe("fin");
    client.close();
    expect(await drained).toEqual({ forced: 0 });
  });

  for (const listener of ["", "    filters: [request-id]"]) {
    test(`lets a request end, whose answer says connection: close${listener}`, async () => {
      const { proxy, client, upstream } = await setting({}, listener);
      client.send(get);
      await upstream.request();
      const drained = proxy.runtime.drain(longMs);
      upstream.connections[0]!.send(okAnswer);
      const answer = await client.answer();
      expect([statusOf(answer), values(answer, "connection")]).toEqual([200, ["close"]]);
      expect(await client.ended()).toBe("fin");
      client.close();
      expect(await drained).toEqual({ forced: 0 });
    });
  }

  test("lets a head that began come to its end", async () => {
    const { proxy, client, upstream, watched } = await setting({ onRequest: () => okAnswer });
    await watched.send(client, get.slice(0, 10));
    const drained = proxy.runtime.drain(longMs);
    client.send(get.slice(10));
    expect(values(await client.answer(), "connection")).toEqual(["close"]);
    expect(upstream.requests.length).toBe(1);
    client.close();
    expect(await drained).toEqual({ forced: 0 });
  });

  test("lets a body end that is under way", async () => {
    const { proxy, client, upstream } = await setting({
      onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe",
    });
    client.send(get + get);
    await client.until("the start", () => (client.received.endsWith("he") ? true : null));
    const drained = proxy.runtime.drain(longMs);
    upstream.connections[0]!.send("ll");
    expect((await client.answer()).body).toBe("hell");
    upstream.script = { onRequest: () => okAnswer };
    upstream.connections[0]!.script = upstream.script;
    client.close();
    await drained;
  });

  test("resets what is left when its time is over, and says how much that was", async () => {
    const { proxy, client, port, upstream, clock } = await setting({
      onRequest: (request, connection) => {
        if (!request.start.includes("/tunnel")) return null;
        connection.reading = "bytes";
        return "HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
      },
    });
    const other = await RawClient.open(port);
    open.push({ stop: () => other.close() });
    client.send(get);
    other.send(`GET /tunnel HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: x\r\n\r\n`);
    await other.until("101", () => (other.received.includes("\r\n\r\n") ? true : null));
    await upstream.request(1);
    const drained = proxy.runtime.drain(50);
    clock.advance(50);
    expect(await client.ended()).toBe("reset");
    expect(await other.ended()).toBe("reset");
    for (const connection of upstream.connections) expect(await connection.ended()).toBe("reset");
    expect(await drained).toEqual({ forced: 2 });
    expect(proxy.open).toEqual({ downstream: 0, upstream: 0 });
    expect(proxy.measured.map(({ status }) => status).sort()).toEqual([101, 499]);
  });
});

describe("callers that are to go elsewhere", () => {
  test("are served as ever while they may stay, and counted", async () => {
    const { proxy, client, port } = await setting({ onRequest: () => okAnswer });
    expect(values(await client.exchange(get), "connection")).toEqual([]);
    await client.exchange(get);
    const other = await RawClient.open(port);
    open.push({ stop: () => other.close() });
    await other.exchange(get);
    expect(proxy.runtime.leave("web", "keep")).toEqual({ requests: 3, connections: 2 });
    expect(proxy.runtime.leave("another", "refuse")).toEqual({ requests: 0, connections: 0 });
    expect(statusOf(await client.exchange(get))).toBe(200);
  });

  test("may come again, by another connection each time", async () => {
    const { proxy, client, port, clock } = await setting({ onRequest: () => okAnswer });
    await client.exchange(get);
    proxy.runtime.leave("web", "close");
    // What is idle stays: whoever has it may write to it at any moment.
    clock.advance(nextRequestMs);
    expect(values(await client.exchange(get), "connection")).toEqual(["close"]);
    expect(await client.ended()).toBe("fin");
    client.close();
    for (let time = 0; time < 2; time++) {
      const other = await RawClient.open(port);
      const answer = await other.exchange(get);
      expect([statusOf(answer), values(answer, "connection")]).toEqual([200, ["close"]]);
      expect(await other.ended()).toBe("fin");
      other.close();
    }
    expect(proxy.runtime.leave("web", "keep").requests).toBe(4);
  });

  test("are refused at the end, once idle ones had their time, however often that is said", async () => {
    const { proxy, client, port, upstream, clock } = await setting({
      onRequest: ({ start }) => (start.includes("/quick") ? okAnswer : null),
    });
    const idle = await RawClient.open(port);
    open.push({ stop: () => idle.close() });
    await idle.exchange(get.replace("/", "/quick"));
    client.send(get);
    await upstream.request(1);
    expect(proxy.runtime.leave("web", "refuse")).toEqual({ requests: 2, connections: 2 });
    expect(
      await RawClient.open(port).then(
        () => "open",
        () => "refused",
      ),
    ).toBe("refused");
    for (let passedMs = 0; passedMs < nextRequestMs; passedMs += 100) {
      proxy.runtime.leave("web", "refuse");
      clock.advance(100);
    }
    expect(await idle.ended()).toBe("fin");
    idle.close();
    expect(proxy.runtime.leave("web", "refuse").connections).toBe(1);
    upstream.connections[0]!.send(okAnswer);
    expect(values(await client.answer(), "connection")).toEqual(["close"]);
    expect(proxy.runtime.leave("web", "refuse")).toEqual({ requests: 2, connections: 0 });
    client.close();
    expect(await proxy.runtime.drain(longMs)).toEqual({ forced: 0 });
  });

  test("a tunnel is nobody who could come again", async () => {
    const { proxy, client } = await setting({
      onRequest: (_request, connection) => {
        connection.reading = "bytes";
        return "HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
      },
    });
    client.send(`GET /tunnel HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: x\r\n\r\n`);
    expect(statusOf(await client.answer())).toBe(101);
    expect(proxy.runtime.leave("web", "refuse")).toEqual({ requests: 1, connections: 0 });
    client.close();
  });
});

describe("a reload that takes a listener away", () => {
  test("lets its requests end on it, while the new one serves", async () => {
    const { proxy, client, port, upstream } = await setting({});
    client.send(get);
    await upstream.request();
    await proxy.apply(gateway({ ports: [upstream.port] }).replace("127.0.0.1:0", "127.0.0.2:0"));
    expect(
      await RawClient.open(port).then(
        () => "open",
        () => "refused",
      ),
    ).toBe("refused");
    upstream.connections[0]!.send(okAnswer);
    const answer = await client.answer();
    expect([statusOf(answer), values(answer, "connection")]).toEqual([200, ["close"]]);
    client.close();
    await proxy.stop();
  });
});
