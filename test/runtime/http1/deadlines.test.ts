/** Every deadline on a connection, on a virtual clock: not before, and not much after. */
import { afterEach, describe, expect, test } from "bun:test";
import { host as thisHost } from "../../../src/host/index.ts";
import type { Sockets } from "../../../src/machine.ts";
import { defineFilter, z } from "../../../src/plugin.ts";
import type { FilterDefinition } from "../../../src/types.ts";
import { VirtualClock } from "../../virtual-clock.ts";
import { statusOf, values } from "../messages.ts";
import { RawClient } from "../raw-client.ts";
import {
  okAnswer,
  type RecordedConnection,
  RecordingUpstream,
  type UpstreamScript,
} from "../recording-upstream.ts";
import { type GatewayText, gateway, type ProxyOptions, RunningProxy } from "../running-proxy.ts";
import { eventually } from "../waiting.ts";
import { WatchedSockets } from "../watched-sockets.ts";

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const uploading = `POST / HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\npart`;
/** Deadlines are looked at in ticks. */
const tickMs = 100;

const open: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
});

class Setting {
  readonly clock = new VirtualClock();
  readonly watched: WatchedSockets;
  upstream!: RecordingUpstream;
  proxy!: RunningProxy;
  client!: RawClient;

  private constructor({ sockets = thisHost.sockets }: ProxyOptions) {
    this.watched = new WatchedSockets(sockets);
  }

  static async make(script: UpstreamScript, text: Partial<GatewayText> = {}, options: ProxyOptions = {}) {
    const setting = new Setting(options);
    const { clock, watched } = setting;
    const upstream = await RecordingUpstream.start(script);
    const proxy = await RunningProxy.start(gateway({ ports: [upstream.port], ...text }), {
      clock,
      ...options,
      sockets: watched.sockets,
    });
    const client = await RawClient.open(proxy.port());
    open.push({ stop: () => client.close() }, proxy, upstream);
    await eventually("the connection", () => proxy.open.downstream === 1);
    return Object.assign(setting, { upstream, proxy, client });
  }

  /** Until a moment before a deadline that many milliseconds away. */
  almost(deadlineMs: number): void {
    this.clock.advance(deadlineMs - 1);
  }

  past(): void {
    this.clock.advance(2 * tickMs);
  }

  /** Sends, and waits until it was read. */
  send(bytes: string): Promise<void> {
    return this.watched.send(this.client, bytes);
  }

  async head(): Promise<RecordedConnection> {
    const connection = await this.upstream.connection();
    await connection.until("the head", () => (connection.received.includes("\r\n\r\n") ? true : null));
    return connection;
  }

  async told(): Promise<unknown[]> {
    const answer = await this.client.answer();
    return [statusOf(answer), ...values(answer, "x-clearway-reason")];
  }
}

describe("the header deadline, 10 s", () => {
  test("ends a connection on which nothing comes", async () => {
    const { client, proxy, ...setting } = await Setting.make({});
    const { clock } = setting;
    clock.advance(9_999);
    expect(proxy.open.downstream).toBe(1);
    clock.advance(2 * tickMs);
    expect(await client.ended()).toBe("fin");
    expect(client.received).toBe("");
  });

  test("is absolute: a head that drips is refused with 408, however its bytes are spread", async () => {
    const setting = await Setting.make({ onRequest: () => okAnswer });
    const { clock, client, upstream } = setting;
    for (const byte of "GET / HTT") {
      clock.advance(1_000);
      await setting.send(byte);
    }
    clock.advance(999);
    expect(client.received).toBe("");
    setting.past();
    expect(await setting.told()).toEqual([408, "header-timeout"]);
    expect(await client.ended()).toBe("fin");
    expect(upstream.bytes).toBe(0);
  });

  test("counts from the first byte for a later request", async () => {
    const setting = await Setting.make({ onRequest: () => okAnswer });
    await setting.client.exchange(get);
    setting.clock.advance(59_000);
    await setting.send("GET /");
    setting.almost(10_000);
    expect(setting.client.unread).toBe("");
    setting.past();
    expect(await setting.told()).toEqual([408, "header-timeout"]);
  });
});

describe("the idle deadlines", () => {
  test("60 s: close a caller's connection between requests", async () => {
    const setting = await Setting.make({ onRequest: () => okAnswer });
    await setting.client.exchange(get);
    setting.almost(60_000);
    expect(setting.proxy.open.downstream).toBe(1);
    setting.past();
    expect(await setting.client.ended()).toBe("fin");
  });

  test("55 s: close a connection to a service that nobody uses", async () => {
    const setting = await Setting.make({ onRequest: () => okAnswer });
    await setting.client.exchange(get);
    setting.almost(55_000);
    expect(setting.proxy.open.upstream).toBe(1);
    setting.past();
    expect(await setting.upstream.connections[0]!.ended()).toBe("fin");
    expect(setting.proxy.open.upstream).toBe(0);
  });
});

for (const listener of ["", "    filters: [request-id]"]) {
  describe(`the route's timeout${listener === "" ? "" : " behind a filter"}`, () => {
    test("15 s: is answered 504, and the service is told by a reset; the caller goes on", async () => {
      const setting = await Setting.make({}, { listener });
      setting.client.send(get);
      const connection = await setting.head();
      setting.almost(15_000);
      expect(setting.client.received).toBe("");
      setting.past();
      expect(await setting.told()).toEqual([504, "upstream-timeout"]);
      expect(await connection.ended()).toBe("reset");
      setting.upstream.script = { onRequest: () => okAnswer };
      expect(statusOf(await setting.client.exchange(get))).toBe(200);
    });

    test("is the route's own where it has one", async () => {
      const setting = await Setting.make({}, { listener, route: "        timeout: 2s" });
      setting.client.send(get);
      await setting.head();
      setting.almost(2_000);
      expect(setting.client.received).toBe("");
      setting.past();
      expect(await setting.told()).toEqual([504, "upstream-timeout"]);
    });

    test("begins with the request's last byte", async () => {
      const setting = await Setting.make({}, { listener });
      setting.client.send(uploading);
      await setting.head();
      setting.clock.advance(60_000);
      setting.client.send("x".repeat(96));
      await setting.upstream.request();
      setting.almost(15_000);
      expect(setting.client.received).toBe("");
      setting.past();
      expect(await setting.told()).toEqual([504, "upstream-timeout"]);
    });

    test("holds for a request with a body that waits for a connection", async () => {
      const setting = await Setting.make({}, { listener, serviceLimits: "{ connections: 1 }" });
      const first = await RawClient.open(setting.proxy.port());
      first.send(get);
      await setting.upstream.request();
      setting.client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`);
      await eventually("a waiter", () => setting.proxy.runtime.report().services[0]!.waiting === 1);
      setting.clock.advance(15_200);
      expect(await setting.told()).toEqual([504, "upstream-timeout"]);
      first.close();
    });

    test("ends with the answer's head: a body may take longer", async () => {
      const setting = await Setting.make(
        { onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" },
        { listener },
      );
      setting.client.send(get);
      await setting.client.until("the head", () =>
        setting.client.received.endsWith("\r\n\r\n") ? true : null,
      );
      for (let i = 0; i < 10; i++) {
        setting.clock.advance(250_000);
        setting.upstream.connections[0]!.send("x");
        await setting.client.until("a byte", () =>
          setting.client.received.endsWith("x".repeat(i + 1)) ? true : null,
        );
      }
      expect((await setting.client.answer()).body).toBe("x".repeat(10));
    });
  });

  describe(`silence of 5 min${listener === "" ? "" : " behind a filter"}`, () => {
    test("in a request's body is answered 408, and the service is told by a reset", async () => {
      const setting = await Setting.make({}, { listener });
      setting.client.send(uploading);
      const connection = await setting.head();
      setting.almost(300_000);
      expect(setting.client.received).toBe("");
      setting.past();
      expect(await setting.told()).toEqual([408, "body-timeout"]);
      expect(await connection.ended()).toBe("reset");
      expect(await setting.client.ended()).toBe("fin");
    });

    test("in an answer's body resets both sides", async () => {
      const setting = await Setting.make(
        { onRequest: () => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart" },
        { listener },
      );
      setting.client.send(get);
      await setting.client.until("the part", () => (setting.client.received.endsWith("part") ? true : null));
      setting.almost(300_000);
      expect(setting.client.peer).toBe("open");
      setting.past();
      expect(await setting.client.ended()).toBe("reset");
      expect(await setting.upstream.connections[0]!.ended()).toBe("reset");
    });

    test("is no silence while the request still comes, though the answer stands still", async () => {
      const setting = await Setting.make({}, { listener });
      setting.client.send(`POST / HTTP/1.1\r\n${host}Content-Length: 8\r\n\r\n`);
      const connection = await setting.head();
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      await setting.client.until("the start", () => (setting.client.received.includes("a") ? true : null));
      for (let i = 0; i < 8; i++) {
        setting.clock.advance(200_000);
        setting.client.send("x");
        await connection.until("a byte", () =>
          connection.received.endsWith("x".repeat(i + 1)) ? true : null,
        );
      }
      connection.send("0\r\n\r\n");
      expect((await setting.client.answer()).body).toBe("a");
    });

    test("in a tunnel ends it; bytes one way keep it", async () => {
      const setting = await Setting.make(
        {
          onRequest: (_request, connection) => {
            connection.reading = "bytes";
            return "HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
          },
        },
        { listener },
      );
      const { client, clock } = setting;
      client.send(`GET / HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: x\r\n\r\n`);
      await client.until("101", () => (client.received.includes("\r\n\r\n") ? true : null));
      const server = setting.upstream.connections[0]!;
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        for (let i = 0; i < 4; i++) {
          clock.advance(200_000);
          const length = to.received.length;
          from.send("x");
          await to.until("a byte", () => (to.received.length > length ? true : null));
        }
      }
      setting.almost(300_000);
      expect(client.peer).toBe("open");
      setting.past();
      expect(await client.ended()).toBe("reset");
      expect(await server.ended()).toBe("reset");
    });
  });
}

describe("the connect deadline, 1 s", () => {
  /** Dials to these ports are never answered. */
  function silent(ports: readonly number[], dialled = () => {}): Sockets {
    return {
      ...thisHost.sockets,
      connect(address, owner) {
        if (!("port" in address) || !ports.includes(address.port))
          return thisHost.sockets.connect(address, owner);
        dialled();
        return () => {};
      },
    };
  }

  test("is kept for each of three endpoints, then the caller is told 503", async () => {
    const setting = await Setting.make({}, { ports: [1, 2, 3, 4] }, { sockets: silent([1, 2, 3, 4]) });
    setting.client.send(get);
    await eventually("the request", () => setting.proxy.runtime.report().activeRequests === 1);
    setting.clock.advance(3_000 - 3 * tickMs);
    expect(setting.client.received).toBe("");
    setting.clock.advance(6 * tickMs + tickMs);
    expect(await setting.told()).toEqual([503, "no-healthy-endpoint"]);
    expect(
      setting.proxy.runtime.report().services[0]!.endpoints.map(({ connections }) => connections),
    ).toEqual([0, 0, 0, 0]);
  });

  test("passes over to an endpoint that answers", async () => {
    const upstream = await RecordingUpstream.start();
    open.push(upstream);
    let dials = 0;
    const sockets = silent([1], () => dials++);
    const setting = await Setting.make({}, { ports: [1, upstream.port] }, { sockets });
    setting.client.send(get + get);
    let over = 0;
    for (let i = 0; i < 2; i++) {
      await eventually("a dial or an answer", () => dials > over || upstream.requests.length > i);
      // Only then: a dial that is about to be answered must not be made late.
      if (dials > over) setting.clock.advance(1_200);
      over = dials;
      expect(await setting.told()).toEqual([200]);
    }
    expect(dials).toBeGreaterThan(0);
  });
});

describe("after the last answer", () => {
  const closing = `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;

  test("a caller has 2 s to close its side", async () => {
    const setting = await Setting.make({ onRequest: () => okAnswer });
    await setting.client.exchange(closing);
    expect(await setting.client.ended()).toBe("fin");
    setting.almost(2_000);
    expect(setting.proxy.open.downstream).toBe(1);
    setting.past();
    expect(setting.proxy.open.downstream).toBe(0);
  });

  test("a caller that reads slowly still gets all of it", async () => {
    const bytes = new Uint8Array(24 << 20).fill(120);
    const large = defineFilter({
      name: "large",
      summary: "Answers with much",
      options: z.unknown(),
      middleware: () => async () => new Response(bytes),
    });
    const filters = new Map([["large", large as FilterDefinition]]);
    const setting = await Setting.make({}, { listener: "    filters: [large]" }, { filters });
    const { client, proxy } = setting;
    client.pause();
    client.send(closing);
    await eventually("the answer", () => proxy.measured.length === 1);
    setting.clock.advance(250_000);
    expect(proxy.open.downstream).toBe(1);
    client.resume();
    await client.until("all of it", () => (client.received.length > bytes.length ? true : null));
    expect((await client.answer()).body.length).toBe(bytes.length);
    expect(await client.ended()).toBe("fin");
  });

  test("a caller that reads nothing at all is cut off after the silence", async () => {
    const setting = await Setting.make({
      onRequest: () => `HTTP/1.1 200 OK\r\nContent-Length: ${64 << 20}\r\n\r\n${"x".repeat(32 << 20)}`,
    });
    setting.client.pause();
    setting.client.send(get);
    await setting.head();
    await eventually("the end", () => {
      // Again and again: bytes that were still on their way into the system's buffers are no silence.
      setting.clock.advance(310_000);
      return setting.proxy.open.downstream + setting.proxy.open.upstream === 0;
    });
  });
});
