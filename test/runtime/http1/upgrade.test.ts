/** Upgrade and WebSocket: bytes both ways after the service's 101, never before. RFC 9110 section 7.8. */
import { afterEach, describe, expect, test } from "bun:test";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import {
  okAnswer,
  type RecordedConnection,
  RecordingUpstream,
  type UpstreamScript,
} from "../recording-upstream.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { eventually } from "../waiting.ts";

const host = "Host: shop.example\r\n";
const upgrade = `GET /chat HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
const switched =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\n";
const told =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-A: 1\r\nconnection: upgrade\r\n\r\n";

const open: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

interface Setting {
  readonly upstream: RecordingUpstream;
  readonly proxy: RunningProxy;
  readonly client: RawClient;
}

async function setting(script: UpstreamScript, filters = ""): Promise<Setting> {
  const upstream = await RecordingUpstream.start(script);
  const proxy = await RunningProxy.start(gateway({ ports: [upstream.port], listener: filters }));
  const client = await RawClient.open(proxy.port());
  open.push({ stop: () => client.close() }, proxy, upstream);
  return { upstream, proxy, client };
}

const switching: UpstreamScript = {
  onRequest: (_request, connection) => {
    connection.reading = "bytes";
    return switched;
  },
};

async function tunnel(filters = ""): Promise<Setting & { readonly server: RecordedConnection }> {
  const made = await setting(switching, filters);
  made.client.send(upgrade);
  expect(await made.client.take(told.length)).toBe(told);
  return { ...made, server: await made.upstream.connection() };
}

const got = (end: { received: string; until: RawClient["until"] }, bytes: string) =>
  end.until(JSON.stringify(bytes), () => (end.received.endsWith(bytes) ? true : null));

for (const filters of ["", "    filters: [request-id]"]) {
  describe(`a tunnel${filters === "" ? "" : " behind a filter"}`, () => {
    test("carries bytes both ways, whatever they look like", async () => {
      const { client, server } = await tunnel(filters);
      client.send("\0\xff\r\n\r\nGET / HTTP/1.1\r\n");
      await got(server, "\0\xff\r\n\r\nGET / HTTP/1.1\r\n");
      server.send("HTTP/1.1 500 x\r\n\r\n\x81\x05hello");
      await got(client, "HTTP/1.1 500 x\r\n\r\n\x81\x05hello");
    });

    test("carries what the service sent right behind its 101", async () => {
      const { client } = await setting({ onRequest: () => `${switched}hello` }, filters);
      client.send(upgrade);
      expect(await client.take(told.length + 5)).toBe(`${told}hello`);
    });

    test("lets one side end and the other go on", async () => {
      const one = await tunnel(filters);
      one.client.finish();
      expect(await one.server.ended()).toBe("fin");
      one.server.send("more");
      await got(one.client, "more");
      one.server.finish();
      expect(await one.client.ended()).toBe("fin");
      const other = await tunnel(filters);
      other.server.finish();
      expect(await other.client.ended()).toBe("fin");
      other.client.send("more");
      await got(other.server, "more");
      other.client.finish();
      expect(await other.server.ended()).toBe("fin");
      for (const { proxy } of [one, other]) {
        await eventually(
          "the end of both connections",
          () => proxy.open.downstream + proxy.open.upstream === 0,
        );
        expect(proxy.measured).toMatchObject([{ status: 101 }]);
        expect(proxy.runtime.report().activeRequests).toBe(0);
      }
    });

    test("is reset on one side when it was reset on the other", async () => {
      const one = await tunnel(filters);
      one.client.reset();
      expect(await one.server.ended()).toBe("reset");
      const other = await tunnel(filters);
      other.server.reset();
      expect(await other.client.ended()).toBe("reset");
      for (const { proxy } of [one, other]) {
        await eventually(
          "the end of both connections",
          () => proxy.open.downstream + proxy.open.upstream === 0,
        );
      }
    });

    test("is reset towards the service when the caller's end was followed by a reset", async () => {
      const { client, server, proxy } = await tunnel(filters);
      client.finish();
      expect(await server.ended()).toBe("fin");
      client.reset();
      server.send("x");
      await eventually("the end of both connections", () => {
        server.send("x".repeat(1000));
        return proxy.open.downstream + proxy.open.upstream === 0;
      });
    });

    test("holds one side back when the other does not read", async () => {
      const { client, server, proxy } = await tunnel(filters);
      const piece = Buffer.alloc(256 * 1024, 120);
      const bytes = 256 * piece.length;
      server.pause();
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 256; i++) client.send(piece);
      const small = server.received.length;
      expect(small).toBeLessThan(bytes);
      server.resume();
      await server.until("all bytes", () => (server.received.length >= bytes ? true : null), 20_000);
      client.pause();
      for (let i = 0; i < 256; i++) server.send(piece);
      client.resume();
      await client.until("all bytes", () => (client.received.length >= bytes ? true : null), 20_000);
      expect(process.memoryUsage().rss - before).toBeLessThan(1_000_000_000);
      expect(proxy.open.downstream).toBe(1);
    }, 45_000);

    test("is opened by 101 alone: bytes that came early stay HTTP until then", async () => {
      const { client, upstream } = await setting({ onRequest: () => okAnswer }, filters);
      client.send(`${upgrade}GET /second HTTP/1.1\r\n${host}\r\n`);
      expect(statusOf(await client.answer())).toBe(200);
      expect(statusOf(await client.answer())).toBe(200);
      expect(upstream.requests.map(({ start }) => start)).toEqual([
        "GET /chat HTTP/1.1",
        "GET /second HTTP/1.1",
      ]);
    });

    test("gets the bytes that came early only after the 101", async () => {
      const { client, upstream } = await setting({}, filters);
      client.send(`${upgrade}early`);
      await upstream.request();
      const server = upstream.connections[0]!;
      client.send(" bytes");
      await Bun.sleep(5);
      expect(server.unread).toBe("");
      server.reading = "bytes";
      server.send(switched);
      await got(server, "early bytes");
    });

    test("is refused like any answer: the caller gets it and goes on", async () => {
      const { client } = await setting(
        { onRequest: () => "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno" },
        filters,
      );
      const answer = await client.exchange(upgrade);
      expect([statusOf(answer), answer.body]).toEqual([403, "no"]);
      expect(statusOf(await client.exchange(upgrade))).toBe(403);
    });

    test("that nobody asked for is a 502, and nothing of it reaches the caller", async () => {
      const { client, upstream } = await setting({ onRequest: () => `${switched}secret` }, filters);
      const answer = await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "upstream-malformed"]);
      expect(await upstream.connections[0]!.ended()).toBe("reset");
      expect(client.received).not.toContain("secret");
    });
  });
}
