import { afterEach, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { systemDatagrams } from "../../src/host/datagrams/node.ts";
import type { DatagramSocket } from "../../src/machine.ts";
import { eventually } from "../runtime/waiting.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function bound(family: "udp4" | "udp6"): Promise<Socket & { readonly port: number }> {
  const socket = createSocket(family);
  await new Promise<void>((resolve) => socket.bind(0, family === "udp4" ? "127.0.0.1" : "::1", resolve));
  open.push(socket);
  return Object.assign(socket, { port: socket.address().port });
}

async function connected(host: string, port: number) {
  const seen: string[] = [];
  const socket: DatagramSocket = await systemDatagrams.connect(
    { host, port },
    { onDatagram: (bytes) => seen.push(String(bytes)), onError: ({ code }) => seen.push(code) },
  );
  open.push(socket);
  return { socket, seen };
}

for (const [family, host] of [
  ["udp4", "127.0.0.1"],
  ["udp6", "::1"],
] as const) {
  test(`systemDatagrams sends to its peer and hears nobody else, ${family}`, async () => {
    const [peer, stranger] = [await bound(family), await bound(family)];
    let from = 0;
    peer.on("message", (bytes, { port }) => {
      from = port;
      stranger.send("forged", port, host, () => peer.send(`to ${bytes}`, port, host));
    });
    const { socket, seen } = await connected(host, peer.port);
    socket.send(Buffer.from("hello"));
    await eventually("an answer", () => seen.length > 0);
    expect(seen).toEqual(["to hello"]);
    expect(from).not.toBe(0);
  });
}

test("systemDatagrams tells that nobody listens there", async () => {
  const gone = await bound("udp4");
  const { port } = gone;
  gone.close();
  open.pop();
  const { socket, seen } = await connected("127.0.0.1", port);
  socket.send(Buffer.from("hello"));
  await eventually("a refusal", () => seen.length > 0);
  expect(seen).toEqual(["ECONNREFUSED"]);
});

test("systemDatagrams rejects with a code where no socket can be tied to the peer", async () => {
  const owner = { onDatagram() {}, onError() {} };
  const failure = await systemDatagrams
    .connect({ host: "255.255.255.255", port: 9 }, owner)
    .catch((error) => error);
  expect(failure).toBeInstanceOf(Error);
  expect(failure.code).toBeString();
});

test("systemDatagrams calls nothing back after close, and sends nothing", async () => {
  const peer = await bound("udp4");
  const heard: string[] = [];
  let answer: () => void = () => {};
  peer.on("message", (bytes, { port }) => {
    heard.push(String(bytes));
    answer = () => peer.send("late", port, "127.0.0.1");
  });
  const { socket, seen } = await connected("127.0.0.1", peer.port);
  socket.send(Buffer.from("first"));
  await eventually("the question", () => heard.length > 0);
  socket.close();
  socket.close();
  socket.send(Buffer.from("second"));
  answer();
  const after = await connected("127.0.0.1", peer.port);
  after.socket.send(Buffer.from("third"));
  await eventually("the last question", () => heard.length > 1);
  expect(heard).toEqual(["first", "third"]);
  expect(seen).toEqual([]);
});
