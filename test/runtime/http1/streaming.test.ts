/** Large bodies through slow readers: the sender is held back, and memory stays flat. */
import { afterEach, describe, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { enough, eventually } from "../waiting.ts";

const mebibyte = 1 << 20;
const bodyBytes = { length: 1024 * mebibyte, chunked: 256 * mebibyte } as const;
const piece = Buffer.alloc(64 * 1024, 120);
/** What may stand on the way: socket buffers of the system on four sockets, and the proxy's own. */
const onTheWayBytesMax = 48 * mebibyte;
const rssBytesMax = 160 * mebibyte;
const timeoutMs = 200_000;

const host = "Host: shop.example\r\n";
const filters = "    filters: [request-id]";
const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** Sends `bytes` of body as fast as the socket takes them, framed as asked, and counts. */
class Sender {
  sent = 0;
  constructor(
    readonly socket: Socket,
    readonly framing: "length" | "chunked",
  ) {}

  run(): void {
    const { socket } = this;
    while (this.sent < bodyBytes[this.framing]) {
      this.sent += piece.length;
      const framed =
        this.framing === "length"
          ? piece
          : Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")]);
      if (!socket.write(framed)) {
        socket.once("drain", () => this.run());
        return;
      }
    }
    if (this.framing === "chunked") socket.write("0\r\n\r\n");
  }
}

function header(framing: "length" | "chunked"): string {
  return framing === "length" ? `Content-Length: ${bodyBytes.length}\r\n` : "Transfer-Encoding: chunked\r\n";
}

function listen(accept: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    open.push(() => socket.destroy());
    accept(socket);
  });
  open.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () =>
      resolve({ server, port: (server.address() as { port: number }).port }),
    );
  });
}

async function caller(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  open.push(() => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

async function proxyTo(port: number, listener: string): Promise<number> {
  const proxy = await RunningProxy.start(gateway({ ports: [port], listener }));
  open.push(() => proxy.stop());
  return proxy.port();
}

/** The sender stops while nobody reads; then everything arrives, in bursts, with memory flat. */
async function expectFlat(sender: () => Sender | null, reader: () => Socket | null): Promise<void> {
  let last = -1;
  await eventually("the sender to be held back", () => {
    const now = sender()?.sent ?? 0;
    const stands = now > 0 && now === last;
    last = now;
    return stands;
  });
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  expect(sender()!.sent).toBeLessThan(onTheWayBytesMax);
  let peak = 0;
  let received = 0;
  const socket = await eventually("the reader", reader);
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received % 7 === 0) {
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    }
    peak = Math.max(peak, process.memoryUsage.rss());
  });
  socket.resume();
  await enough("bytes of the body", () => received, bodyBytes[sender()!.framing]);
  expect(peak - before).toBeLessThan(rssBytesMax);
}

for (const listener of ["", filters]) {
  for (const framing of ["length", "chunked"] as const) {
    describe(`a body of ${bodyBytes[framing] / mebibyte} MiB, ${framing}${listener === "" ? "" : ", behind a filter"}`, () => {
      test(
        "from a service to a slow caller",
        async () => {
          let sender: Sender | null = null;
          const { port } = await listen((socket) => {
            socket.once("data", () => {
              socket.write(`HTTP/1.1 200 OK\r\n${header(framing)}\r\n`);
              sender = new Sender(socket, framing);
              sender.run();
            });
          });
          const client = await caller(await proxyTo(port, listener));
          client.pause();
          client.write(`GET / HTTP/1.1\r\n${host}\r\n`);
          await expectFlat(
            () => sender,
            () => client,
          );
        },
        timeoutMs,
      );

      test(
        "from a caller to a slow service",
        async () => {
          let service: Socket | null = null;
          const { port } = await listen((socket) => {
            service = socket;
            socket.pause();
          });
          const client = await caller(await proxyTo(port, listener));
          client.write(`POST / HTTP/1.1\r\n${host}${header(framing)}\r\n`);
          const sender = new Sender(client, framing);
          sender.run();
          await expectFlat(
            () => sender,
            () => service,
          );
        },
        timeoutMs,
      );
    });
  }
}
