/** Bodies, ends and upgrades over TLS, on both sides: the sender is held back, memory stays flat, nothing is lost. */
import { afterEach, describe, expect, test } from "bun:test";
import { createHash, type Hash } from "node:crypto";
import type { Socket } from "node:net";
import { SeededRandom } from "../../seeded-random.ts";
import { statusOf } from "../messages.ts";
import { okAnswer, type UpstreamScript } from "../recording-upstream.ts";
import { closeAll, proxyTo, upstreamWith } from "../setting.ts";
import { eventually } from "../waiting.ts";
import { Relay } from "./relay.ts";
import { files, https, shop, shopEntry, shown } from "./secured.ts";
import { get, TlsCaller } from "./tls-caller.ts";

afterEach(closeAll);

const mebibyte = 1 << 20;
const bodyBytes = 64 * mebibyte;
/** What may stand on the way: the buffers of four sockets on both of their sides, and the proxy's own. */
const onTheWayBytesMax = 40 * mebibyte;
const rssBytesMax = 160 * mebibyte;
const believing = "    tls: { ca: servers.pem, serverName: shop.example }";
const filter = "    filters: [request-id]";
const host = "Host: shop.example\r\n";

/** Pieces that are told apart, so that a lost or moved one shows. */
const random = new SeededRandom(3);
const pieces = Array.from({ length: 7 }, () =>
  Buffer.from(Uint8Array.from({ length: 64 * 1024 }, () => Math.floor(random.fraction() * 256))),
);

/** Sends the body as fast as the socket takes it. */
class Sender {
  sentBytes = 0;
  readonly hash = createHash("sha256");

  constructor(readonly socket: Socket) {}

  run(): void {
    const { socket } = this;
    while (this.sentBytes < bodyBytes) {
      const piece = pieces[(this.sentBytes / 65_536) % pieces.length]!;
      this.sentBytes += piece.length;
      this.hash.update(piece);
      if (!socket.write(piece)) {
        socket.once("drain", () => this.run());
        return;
      }
    }
  }
}

/** The body behind a head, as it comes: slowly, if wanted. */
class Reader {
  bytes = 0;
  readonly hash: Hash = createHash("sha256");
  #head = "";

  constructor(socket: Socket) {
    let pauses = 0;
    socket.on("data", (chunk: Buffer) => {
      this.#take(chunk);
      if (++pauses % 16 !== 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
  }

  #take(chunk: Buffer): void {
    let body = chunk;
    if (!this.#head.includes("\r\n\r\n")) {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      body = Buffer.from(this.#head.slice(end + 4), "latin1");
    }
    this.bytes += body.length;
    this.hash.update(body);
  }
}

/** The sender stops while nobody reads; then all of it arrives as it was, with memory flat. */
async function expectFlat(sender: () => Sender | null, reading: () => Socket | null): Promise<void> {
  let before = -1;
  await eventually("the sender to be held back", () => {
    const now = sender()?.sentBytes ?? 0;
    const stands = now > 0 && now === before;
    before = now;
    return stands;
  });
  expect(sender()!.sentBytes).toBeLessThan(onTheWayBytesMax);
  Bun.gc(true);
  const rss = process.memoryUsage.rss();
  let peak = rss;
  const socket = await eventually("the reader", reading);
  const reader = new Reader(socket);
  socket.on("data", () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  });
  socket.resume();
  await eventually("all of the body", () => reader.bytes >= bodyBytes, 120_000);
  expect(reader.bytes).toBe(bodyBytes);
  expect(reader.hash.digest("hex")).toBe(sender()!.hash.digest("hex"));
  expect(peak - rss).toBeLessThan(rssBytesMax);
}

for (const more of ["", filter]) {
  describe(`64 MiB over TLS on both sides${more === "" ? "" : ", behind a filter"}`, () => {
    test("from a service to a slow caller", async () => {
      let sender: Sender | null = null;
      const upstream = await upstreamWith(
        {
          onRequest: (_request, connection) => {
            const socket = connection.tls!;
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bodyBytes}\r\n\r\n`);
            sender = new Sender(socket);
            sender.run();
            return null;
          },
        },
        shown(shop),
      );
      const listener = https([shopEntry], more);
      const proxy = await proxyTo({ ports: [upstream.port], listener, service: believing }, { files });
      const client = await TlsCaller.open(proxy.port());
      client.tls.removeAllListeners("data");
      client.pause();
      client.send(get);
      await expectFlat(
        () => sender,
        () => client.tls,
      );
    }, 120_000);

    test("from a caller to a slow service", async () => {
      let service: Socket | null = null;
      const upstream = await upstreamWith(
        {
          onConnect: (connection) => {
            service = connection.tls!;
            service.removeAllListeners("data");
            service.pause();
          },
        },
        shown(shop),
      );
      const listener = https([shopEntry], more);
      const proxy = await proxyTo({ ports: [upstream.port], listener, service: believing }, { files });
      const client = await TlsCaller.open(proxy.port());
      client.send(`POST / HTTP/1.1\r\n${host}Content-Length: ${bodyBytes}\r\n\r\n`);
      const sender = new Sender(client.tls);
      sender.run();
      await expectFlat(
        () => sender,
        () => service,
      );
    }, 120_000);
  });
}

const upgrade = `GET /chat HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const switching: UpstreamScript = {
  onRequest: (_request, connection) => {
    connection.reading = "bytes";
    return switched;
  },
};

describe("a tunnel over TLS", () => {
  async function tunnel() {
    const upstream = await upstreamWith(switching, shown(shop));
    const listener = https([shopEntry]);
    const proxy = await proxyTo({ ports: [upstream.port], listener, service: believing }, { files });
    const client = await TlsCaller.open(proxy.port());
    client.send(upgrade);
    expect(statusOf(await client.next())).toBe(101);
    return { proxy, client, server: await upstream.connection() };
  }

  test("carries bytes both ways, whatever they look like", async () => {
    const { client, server } = await tunnel();
    client.send("\0\xff\r\n\r\nGET / HTTP/1.1\r\n");
    await server.until("the bytes", () =>
      server.unread === "\0\xff\r\n\r\nGET / HTTP/1.1\r\n" ? true : null,
    );
    server.send("\x16\x03\x01\x81\x05hello");
    await client.until("the answer", () => (client.unread === "\x16\x03\x01\x81\x05hello" ? true : null));
  });

  test("is over on both sides when either side ends it", async () => {
    for (const side of ["client", "server"] as const) {
      const setting = await tunnel();
      const { proxy, client, server } = setting;
      setting[side].send("last words");
      setting[side].finish();
      const other = side === "client" ? server : client;
      await other.until("the last words", () => (other.received.endsWith("last words") ? true : null));
      expect(await other.ended()).toBe("fin");
      other.finish();
      await eventually("the end of both", () => proxy.open.downstream + proxy.open.upstream === 0);
    }
  });

  test("is reset on one side when it was reset on the other", async () => {
    for (const side of ["client", "server"] as const) {
      const { proxy, client, server } = await tunnel();
      (side === "client" ? client : server).reset();
      await (side === "client" ? server : client).ended();
      await eventually("the end of both", () => proxy.open.downstream + proxy.open.upstream === 0);
    }
  });
});

describe("a WebSocket over TLS", () => {
  test("goes through to a server that is not ours, and closes with its code", async () => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 400 })),
      websocket: {
        message: (socket, message) => void socket.send(message),
      },
    });
    const proxy = await proxyTo({ ports: [server.port!], listener: https([shopEntry]) }, { files });
    const socket = new WebSocket(`wss://127.0.0.1:${proxy.port()}/`, {
      tls: { rejectUnauthorized: false },
    } as never);
    const echoed: string[] = [];
    const closed = new Promise<number>((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
    const long = "x".repeat(300_000);
    socket.onopen = () => {
      socket.send("hello");
      socket.send(long);
    };
    socket.onmessage = ({ data }) => {
      echoed.push(String(data));
      if (echoed.length === 2) socket.close(4001, "done");
    };
    expect(await closed).toBe(4001);
    expect(echoed).toEqual(["hello", long]);
    await eventually("the end of both", () => proxy.open.downstream + proxy.open.upstream === 0);
    await server.stop(true);
  });
});

describe("a caller over TLS", () => {
  async function setting(script: UpstreamScript, more = "") {
    const upstream = await upstreamWith(script, shown(shop));
    const listener = https([shopEntry], more);
    const proxy = await proxyTo({ ports: [upstream.port], listener, service: believing }, { files });
    return { upstream, proxy, client: await TlsCaller.open(proxy.port()) };
  }

  for (const leave of ["close", "reset", "finish"] as const) {
    test(`that leaves (${leave}) while the service works makes it stop`, async () => {
      const { upstream, proxy, client } = await setting({});
      client.send(get);
      const server = await upstream.connection();
      await upstream.request();
      client[leave]();
      await server.ended();
      await eventually("the end of both", () => proxy.open.downstream + proxy.open.upstream === 0);
      expect(proxy.measured).toMatchObject([{ status: 499, reason: "caller-left" }]);
    });
  }

  test("that sends its requests at once gets the answers in their order", async () => {
    const paths = Array.from({ length: 50 }, (_, index) => `/${index}`);
    const { client } = await setting({
      onRequest: ({ start }) => {
        const body = start.split(" ")[1]!;
        return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      },
    });
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\n${host}\r\n`).join(""));
    for (const path of paths) expect((await client.answer()).body).toBe(path);
  });

  test("that sends bytes in pieces of every size gets its answer", async () => {
    const { client, upstream } = await setting({ onRequest: () => okAnswer });
    const body = "b".repeat(200);
    const request = `POST / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;
    for (const size of [1, 2, 3, 50]) {
      for (let at = 0; at < request.length; at += size) client.send(request.slice(at, at + size));
      expect(statusOf(await client.answer())).toBe(200);
    }
    expect(upstream.requests.map((each) => each.body)).toEqual([body, body, body, body]);
  });

  test("whose bytes come one at a time gets its handshake and its answer", async () => {
    const { proxy } = await setting({ onRequest: () => okAnswer });
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const relay = await Relay.start(proxy.port(), 1);
      const slow = await TlsCaller.open(relay.port, { minVersion: version, maxVersion: version });
      expect(statusOf(await slow.exchange(get))).toBe(200);
      relay.stop();
    }
  });

  test("whose encrypted bytes are broken on the way is cut off, and nobody else", async () => {
    const { proxy, client, upstream } = await setting({ onRequest: () => okAnswer });
    expect(statusOf(await client.exchange(get))).toBe(200);
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const relay = await Relay.start(proxy.port());
      const broken = await TlsCaller.open(relay.port, { minVersion: version, maxVersion: version });
      expect(statusOf(await broken.exchange(get))).toBe(200);
      // A record that nobody encrypted.
      relay.inject(Buffer.from(`\x17\x03\x03\0\x20${"x".repeat(32)}`, "latin1"));
      await broken.ended();
      relay.stop();
      expect(statusOf(await client.exchange(get))).toBe(200);
    }
    await eventually("the end of the others", () => proxy.open.downstream === 1);
    expect(upstream.requests).toHaveLength(5);
  });

  test("hears the end of an answer that only the end of the connection tells, and one that is cut short as such", async () => {
    const whole = await setting({
      onRequest: (_request, connection) => {
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
        connection.finish();
        return null;
      },
    });
    expect((await whole.client.exchange(get)).body).toBe("all of it");
    const short = await setting({
      onRequest: (_request, connection) => {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na part");
        connection.finish();
        return null;
      },
    });
    short.client.send(get);
    await short.client.ended();
    expect(short.client.received).toEndWith("a part");
    expect(short.client.peer).toBe("reset");
  });
});
