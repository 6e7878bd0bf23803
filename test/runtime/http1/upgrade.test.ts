/** Upgrade and WebSocket: bytes both ways after the service's 101, never before. RFC 9110 section 7.8. */

import { afterEach, describe, expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { statusOf, values } from "../messages.ts";
import type { RawClient } from "../raw-client.ts";
import { okAnswer, type RecordedConnection, type UpstreamScript } from "../recording-upstream.ts";
import { closeAll, type Setting, setting } from "../setting.ts";
import { eventually } from "../waiting.ts";

const host = "Host: shop.example\r\n";
const upgrade = `GET /chat HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
const switched =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\n";
const told =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-A: 1\r\nconnection: upgrade\r\n\r\n";

afterEach(closeAll);

const switching: UpstreamScript = {
  onRequest: (_request, connection) => {
    connection.reading = "bytes";
    return switched;
  },
};

async function tunnel(listener: string): Promise<Setting & { readonly server: RecordedConnection }> {
  const made = await setting(switching, { listener });
  made.client.send(upgrade);
  expect(await made.client.take(told.length)).toBe(told);
  return { ...made, server: await made.upstream.connection() };
}

const got = (end: { received: string; until: RawClient["until"] }, bytes: string) =>
  end.until(JSON.stringify(bytes), () => (end.received.endsWith(bytes) ? true : null));

for (const listener of ["", "    filters: [request-id]"]) {
  describe(`a tunnel${listener === "" ? "" : " behind a filter"}`, () => {
    test("carries bytes both ways, whatever they look like", async () => {
      const { client, server } = await tunnel(listener);
      client.send("\0\xff\r\n\r\nGET / HTTP/1.1\r\n");
      await got(server, "\0\xff\r\n\r\nGET / HTTP/1.1\r\n");
      server.send("HTTP/1.1 500 x\r\n\r\n\x81\x05hello");
      await got(client, "HTTP/1.1 500 x\r\n\r\n\x81\x05hello");
    });

    test("carries what the service sent right behind its 101", async () => {
      const { client } = await setting({ onRequest: () => `${switched}hello` }, { listener });
      client.send(upgrade);
      expect(await client.take(told.length + 5)).toBe(`${told}hello`);
    });

    test("lets one side end and the other go on", async () => {
      const one = await tunnel(listener);
      one.client.finish();
      expect(await one.server.ended()).toBe("fin");
      one.server.send("more");
      await got(one.client, "more");
      one.server.finish();
      expect(await one.client.ended()).toBe("fin");
      const other = await tunnel(listener);
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
      const one = await tunnel(listener);
      one.client.reset();
      expect(await one.server.ended()).toBe("reset");
      const other = await tunnel(listener);
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
      const { client, server, proxy } = await tunnel(listener);
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
      const { client, server, proxy } = await tunnel(listener);
      const piece = Buffer.alloc(256 * 1024, 120);
      const bytes = 256 * piece.length;
      server.pause();
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 256; i++) client.send(piece);
      const small = server.received.length;
      expect(small).toBeLessThan(bytes);
      server.resume();
      await server.until("all bytes", () => (server.received.length >= bytes ? true : null));
      client.pause();
      for (let i = 0; i < 256; i++) server.send(piece);
      client.resume();
      await client.until("all bytes", () => (client.received.length >= bytes ? true : null));
      expect(process.memoryUsage().rss - before).toBeLessThan(1_000_000_000);
      expect(proxy.open.downstream).toBe(1);
    });

    test("is opened by 101 alone: bytes that came early stay HTTP until then", async () => {
      const { client, upstream } = await setting({ onRequest: () => okAnswer }, { listener });
      client.send(`${upgrade}GET /second HTTP/1.1\r\n${host}\r\n`);
      expect(statusOf(await client.answer())).toBe(200);
      expect(statusOf(await client.answer())).toBe(200);
      expect(upstream.requests.map(({ start }) => start)).toEqual([
        "GET /chat HTTP/1.1",
        "GET /second HTTP/1.1",
      ]);
    });

    test("gets the bytes that came early only after the 101", async () => {
      const { client, upstream } = await setting({}, { listener });
      client.send(`${upgrade}early`);
      await upstream.request();
      const server = upstream.connections[0]!;
      client.send(" bytes");
      await sleep(5);
      expect(server.unread).toBe("");
      server.reading = "bytes";
      server.send(switched);
      await got(server, "early bytes");
    });

    test("is refused like any answer: the caller gets it and goes on", async () => {
      const { client } = await setting(
        { onRequest: () => "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno" },
        { listener },
      );
      const answer = await client.exchange(upgrade);
      expect([statusOf(answer), answer.body]).toEqual([403, "no"]);
      expect(statusOf(await client.exchange(upgrade))).toBe(403);
    });

    test("that nobody asked for is a 502, and nothing of it reaches the caller", async () => {
      const { client, upstream } = await setting({ onRequest: () => `${switched}secret` }, { listener });
      const answer = await client.exchange(`GET / HTTP/1.1\r\n${host}\r\n`);
      expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([502, "upstream-malformed"]);
      expect(await upstream.connections[0]!.ended()).toBe("reset");
      expect(client.received).not.toContain("secret");
    });
  });
}
