/** The memory of a service's chunk is taken back as soon as it went on to the caller, and never while somebody reads it. */
import { afterEach, expect, test } from "bun:test";
import { createServer } from "node:net";
import { defineFilter, type FilterDefinition, z } from "../../../src/plugin.ts";
import type { FilterRegistry } from "../../../src/types.ts";
import { gateway, RunningProxy } from "../running-proxy.ts";
import { WatchedChunks } from "../watched-chunks.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

function bodyOf(lengthBytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: lengthBytes }, (_, index) => 33 + ((index * 7 + seed) % 90)));
}

/** Answers the request number N with `pieces(N)`, each in a write of its own. */
async function serviceOf(pieces: (count: number) => readonly Buffer[]): Promise<number> {
  let count = 0;
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", async () => {
      for (const piece of pieces(count++)) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
  });
  open.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

async function proxyTo(
  port: number,
  watched: WatchedChunks,
  more: { listener?: string; filters?: FilterRegistry } = {},
) {
  const { listener = "", ...rest } = more;
  const config = gateway({ ports: [port], listener });
  const proxy = await RunningProxy.start(config, { sockets: watched.sockets, ...rest });
  open.push(() => proxy.stop());
  return `http://127.0.0.1:${proxy.port()}/`;
}

async function bytesOf(url: string): Promise<Buffer> {
  const answer = await fetch(url, { headers: { host: "shop.example" } });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

function headOf(lengthBytes: number): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${lengthBytes}\r\nx-from: service\r\n\r\n`);
}

for (const kibibytes of [1, 16, 64, 300]) {
  test(`answers of ${kibibytes} KiB arrive whole, and their chunks are taken back`, async () => {
    const bodies = [0, 1, 2].map((seed) => bodyOf(kibibytes * 1024, seed));
    const watched = new WatchedChunks();
    const port = await serviceOf((count) => {
      const body = bodies[count]!;
      const half = body.length >> 1;
      return [Buffer.concat([headOf(body.length), body.subarray(0, half)]), body.subarray(half)];
    });
    const url = await proxyTo(port, watched);
    for (const body of bodies) expect((await bytesOf(url)).equals(body)).toBe(true);
    expect(watched.reclaimed.size).toBeGreaterThan(0);
    for (const chunk of watched.reclaimed) {
      expect(watched.answered).toContain(chunk);
      // Small ones are left to the collector.
      if (chunk.length > 0) expect(chunk.length).toBeLessThan(16 * 1024);
    }
    if (kibibytes >= 64) expect([...watched.reclaimed].some((chunk) => chunk.length === 0)).toBe(true);
  });
}

test("a chunk whose body or head filters still read is not taken back", async () => {
  const body = bodyOf(64 * 1024, 5);
  const watched = new WatchedChunks();
  const port = await serviceOf(() => [Buffer.concat([headOf(body.length), body])]);
  let copied: Promise<ArrayBuffer> | null = null;
  let answer: Response | null = null;
  const definition = defineFilter({
    name: "copy",
    summary: "Reads a copy of each answer",
    options: z.unknown(),
    middleware: () => async (c, next) => {
      await next();
      answer = c.res;
      if (c.req.path === "/copied") copied = c.res.clone().arrayBuffer();
    },
  });
  const filters = new Map([["copy", definition as FilterDefinition]]);
  const url = await proxyTo(port, watched, { listener: "    filters: [copy]", filters });
  expect((await bytesOf(url)).equals(body)).toBe(true);
  expect(answer!.headers.get("x-from")).toBe("service");
  expect((await bytesOf(`${url}copied`)).equals(body)).toBe(true);
  expect(Buffer.from(await copied!).equals(body)).toBe(true);
  expect(answer!.headers.get("x-from")).toBe("service");
});
