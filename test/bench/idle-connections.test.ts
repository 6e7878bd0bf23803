import { afterEach, expect, test } from "bun:test";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { IdleConnections } from "../../bench/idle-connections.ts";
import { until } from "../program.ts";

const good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const wanted = { status: 200, body: Buffer.from("ok") };
const servers: Server[] = [];
const opened: IdleConnections[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  for (const server of servers.splice(0)) server.close();
});

async function serve(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => answer(socket));
    socket.on("close", () => sockets.delete(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, sockets };
}

function idleOf(port: number, connections: number): IdleConnections {
  const idle = new IdleConnections({ port, path: "/", connections, wanted });
  opened.push(idle);
  return idle;
}

test("IdleConnections makes one request on each connection, whenever it is told to", async () => {
  let requests = 0;
  const { port, sockets } = await serve((socket) => {
    requests++;
    socket.write(good);
  });
  const idle = idleOf(port, 120);
  await idle.open();
  expect([requests, sockets.size]).toEqual([120, 120]);
  await idle.request();
  expect([requests, sockets.size, idle.closed]).toEqual([240, 120, 0]);
});

test("IdleConnections counts those that were closed, and does not count its own end", async () => {
  const { port, sockets } = await serve((socket) => socket.write(good));
  const idle = idleOf(port, 10);
  await idle.open();
  for (const socket of [...sockets].slice(0, 3)) socket.destroy();
  await until(
    () => idle.closed,
    (closed) => closed === 3,
  );
  idle.close();
  await until(
    () => sockets.size,
    (left) => left === 0,
  );
  expect(idle.closed).toBe(3);
});

test("IdleConnections rejects when an answer is not the wanted one, or a connection ends instead", async () => {
  const wrong = await serve((socket) => socket.write(good.replace("ok", "no")));
  await expect(idleOf(wrong.port, 1).open()).rejects.toThrow("the body differs");
  const gone = await serve((socket) => socket.destroy());
  await expect(idleOf(gone.port, 1).open()).rejects.toThrow("closed");
});
