import { afterEach, expect, test } from "bun:test";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type LoadOptions, type LoadResult, startLoad } from "../../bench/load.ts";

const good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Answers the n-th request (from 0) of the whole server as told. */
async function serve(
  answer: (socket: Socket, request: number) => void,
  accept: (socket: Socket) => void = () => {},
): Promise<number> {
  let requests = 0;
  const server = createServer((socket) => {
    accept(socket);
    socket.on("error", () => {});
    socket.on("data", () => answer(socket, requests++));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Loads until the condition holds for what was counted so far. */
async function loadUntil(
  options: Partial<LoadOptions> & { port: number },
  enough: (result: LoadResult) => boolean,
): Promise<LoadResult> {
  const wanted = { status: 200, body: Buffer.from("ok") };
  const load = startLoad({ path: "/", connections: 2, requestsPerSecond: null, wanted, ...options });
  while (!enough(load.result())) await new Promise((resolve) => setImmediate(resolve));
  return await load.stop();
}

test("load counts good answers and keeps its connections", async () => {
  const port = await serve((socket) => socket.write(good));
  const result = await loadUntil({ port }, ({ succeeded }) => succeeded >= 100);
  expect(result).toMatchObject({ failed: 0, closedByPeer: 0, failures: {}, examples: [] });
  expect(result.latencyMs.p99).toBeGreaterThan(0);
});

test("load counts a wrong status, a wrong body and a reset, each by its kind, and goes on", async () => {
  const port = await serve((socket, request) => {
    if (request === 3) socket.write("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    else if (request === 5) socket.write(good.replace("ok", "ko"));
    else if (request === 7) socket.resetAndDestroy();
    else socket.write(good);
  });
  const result = await loadUntil({ port }, ({ succeeded, failed }) => succeeded >= 50 && failed >= 3);
  expect(result.failures).toEqual({ status: 1, body: 1, reset: 1 });
  expect(result.failed).toBe(3);
  expect(result.closedByPeer).toBe(1);
  expect(result.examples).toContain("status: HTTP/1.1 502 Bad Gateway");
});

test("load counts a request without an answer as a timeout", async () => {
  const port = await serve((socket, request) => {
    if (request > 0) socket.write(good);
  });
  const result = await loadUntil({ port, timeoutMs: 100 }, ({ failed }) => failed >= 1);
  // More than one where this process was held up as long.
  expect(result.failures).toEqual({ timeout: result.failed });
});

test("load tells a connection that was closed while idle from a failed request", async () => {
  const port = await serve(
    () => {},
    (socket) => socket.end(),
  );
  const never = 1e-9;
  const result = await loadUntil(
    { port, connections: 1, requestsPerSecond: never },
    ({ closedByPeer }) => closedByPeer >= 2,
  );
  expect(result.failed).toBe(0);
});

test("load sends nothing more on a connection whose answer says that it closes", async () => {
  const requests = new Map<Socket, number>();
  const port = await serve((socket) => {
    requests.set(socket, (requests.get(socket) ?? 0) + 1);
    socket.write(good.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  });
  const result = await loadUntil({ port }, ({ succeeded }) => succeeded >= 6);
  expect(result).toMatchObject({ failed: 0, closedByPeer: result.succeeded });
  expect([...requests.values()]).toEqual([...requests.keys()].map(() => 1));
});

test("load counts connections that are refused", async () => {
  const port = await serve(() => {});
  await new Promise((resolve) => servers.pop()!.close(resolve));
  const result = await loadUntil({ port }, ({ failed }) => failed >= 2);
  expect(result.failures.connect).toBe(result.failed);
  expect(result.succeeded).toBe(0);
});

test("load at a fixed rate charges a stall to every request that fell into it", async () => {
  const stallMs = 200;
  const stalled = async () => {
    const port = await serve((socket, request) => {
      setTimeout(() => socket.write(good), request === 10 ? stallMs : 0);
    });
    const options = { port, connections: 1, requestsPerSecond: 200 };
    return loadUntil(options, ({ succeeded }) => succeeded >= 60);
  };
  // 40 of the first 60 or so were due during the stall; a closed loop would show one. Requests that this process
  // released late, because it was held up itself, are not charged: then once more.
  let result = await stalled();
  for (let tries = 1; result.latencyMs.p50 <= stallMs / 8 && tries < 10; tries++) result = await stalled();
  expect(result.latencyMs.p50).toBeGreaterThan(stallMs / 8);
  expect(result.latencyMs.max).toBeGreaterThanOrEqual(stallMs);
  expect(result.failed).toBe(0);
});
