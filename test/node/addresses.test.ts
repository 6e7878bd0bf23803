import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryBind } from "../../src/host/binding/bun.ts";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import type { Address } from "../../src/machine.ts";
import { addressText, listenerText, refusedBindings } from "../../src/node/addresses.ts";

const owner = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

function binding(address: Address) {
  return { address, path: "listeners.web.bind", place: { file: "clearway.yaml", line: 5 } };
}

async function reasons(wanted: readonly Address[], held: readonly Address[] = []): Promise<string[]> {
  return (await refusedBindings(tryBind, wanted.map(binding), held)).map(({ reason }) => reason);
}

test("addressText brackets IPv6 and names unix sockets", () => {
  expect(addressText({ host: "::1", port: 80 })).toBe("[::1]:80");
  expect(addressText({ unixPath: "/run/clearway.sock" })).toBe("unix:/run/clearway.sock");
  expect(listenerText("127.0.0.1:80", "http")).toBe("http://127.0.0.1:80");
  expect(listenerText("127.0.0.1:443", "https")).toBe("https://127.0.0.1:443");
  expect(listenerText("unix:/run/clearway.sock", "https")).toBe("unix:/run/clearway.sock");
});

test("refusedBindings refuses an address that another node shares with nobody, or with its workers", async () => {
  for (const sharing of ["exclusive", "shared"] as const) {
    const listening = await bunSockets.listen({ host: "127.0.0.1", port: 0 }, sharing, () => owner);
    expect(await reasons([listening.address])).toEqual(["the address is in use"]);
    const { port } = listening.address as { port: number };
    expect(await reasons([{ host: "0.0.0.0", port }])).toEqual(["the address is in use"]);
    listening.stop();
  }
});

test("refusedBindings releases what it bound", async () => {
  const listening = await bunSockets.listen({ host: "127.0.0.1", port: 0 }, "exclusive", () => owner);
  listening.stop();
  expect(await reasons([listening.address])).toEqual([]);
  const again = await bunSockets.listen(listening.address, "exclusive", () => owner);
  again.stop();
});

test("refusedBindings does not try what the node itself holds", async () => {
  const listening = await bunSockets.listen({ host: "127.0.0.1", port: 0 }, "shared", () => owner);
  const { port } = listening.address as { port: number };
  expect(await reasons([listening.address, { host: "0.0.0.0", port }], [listening.address])).toEqual([]);
  listening.stop();
});

test("refusedBindings says that the machine has no such address", async () => {
  expect(await reasons([{ host: "192.0.2.1", port: 21001 }])).toEqual(["this machine has no such address"]);
});

test("refusedBindings knows IPv6 and names", async () => {
  const listening = await bunSockets.listen({ host: "::1", port: 0 }, "shared", () => owner);
  const { port } = listening.address as { port: number };
  expect(await reasons([{ host: "::1", port }])).toEqual(["the address is in use"]);
  expect(await reasons([{ host: "::", port }])).toEqual(["the address is in use"]);
  expect(await reasons([{ host: "127.0.0.1", port }])).toEqual([]);
  listening.stop();
  expect(
    await reasons([
      { host: "::", port },
      { host: "localhost", port },
    ]),
  ).toEqual([]);
  expect(await reasons([{ host: "no.such.host.invalid", port }])).toEqual(["the host name has no address"]);
});

test("refusedBindings never listens: a connection attempt meanwhile is refused, not reset", async () => {
  const { port } = await freed();
  const attempts: Promise<string>[] = [];
  for (let index = 0; index < 100; index += 1) {
    attempts.push(attempt(port));
    expect(await reasons([{ host: "127.0.0.1", port }])).toEqual([]);
  }
  expect(new Set(await Promise.all(attempts))).toEqual(new Set(["ECONNREFUSED"]));
});

test("refusedBindings asks a unix socket whether somebody listens, and leaves it alone", async () => {
  const address = { unixPath: join(mkdtempSync(join(tmpdir(), "clearway-unix-")), "clearway.sock") };
  expect(await reasons([address])).toEqual([]);
  const listening = await bunSockets.listen(address, "shared", () => owner);
  expect(await reasons([address])).toEqual(["the address is in use"]);
  expect(await reasons([address])).toEqual(["the address is in use"]);
  listening.stop();
});

test("refusedBindings clears away the socket file that a killed process left", async () => {
  const unixPath = join(mkdtempSync(join(tmpdir(), "clearway-unix-")), "clearway.sock");
  const script = `Bun.listen({ unix: ${JSON.stringify(unixPath)}, socket: { data() {} } }); console.log("up")`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await child.stdout.getReader().read();
  child.kill("SIGKILL");
  await child.exited;
  expect(existsSync(unixPath)).toBe(true);
  expect(await reasons([{ unixPath }])).toEqual([]);
  expect(existsSync(unixPath)).toBe(false);
});

test("refusedBindings leaves a file alone that is no socket", async () => {
  const unixPath = join(mkdtempSync(join(tmpdir(), "clearway-unix-")), "notes.txt");
  writeFileSync(unixPath, "mine");
  await reasons([{ unixPath }]);
  expect(existsSync(unixPath)).toBe(true);
});

/** An address that was free a moment ago. */
async function freed(): Promise<{ host: string; port: number }> {
  const listening = await bunSockets.listen({ host: "127.0.0.1", port: 0 }, "exclusive", () => owner);
  listening.stop();
  return listening.address as { host: string; port: number };
}

function attempt(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", (error) => resolve((error as Error & { code: string }).code));
    socket.on("connect", () => resolve("connected"));
  });
}
