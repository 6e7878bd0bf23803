import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import { addressText, listenerText, refusedBindings } from "../../src/node/addresses.ts";
import type { Address } from "../../src/types.ts";

const owner = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

function binding(address: Address) {
  return { address, path: "listeners.web.bind", place: { file: "clearway.yaml", line: 5 } };
}

async function reasons(wanted: readonly Address[], held: readonly Address[] = []): Promise<string[]> {
  return (await refusedBindings(bunSockets, wanted.map(binding), held)).map(({ reason }) => reason);
}

test("addressText brackets IPv6 and names unix sockets", () => {
  expect(addressText({ host: "::1", port: 80 })).toBe("[::1]:80");
  expect(addressText({ unixPath: "/run/clearway.sock" })).toBe("unix:/run/clearway.sock");
  expect(listenerText("127.0.0.1:80")).toBe("http://127.0.0.1:80");
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

test("refusedBindings asks a unix socket whether somebody listens, and leaves it alone", async () => {
  const address = { unixPath: join(mkdtempSync(join(tmpdir(), "clearway-unix-")), "clearway.sock") };
  expect(await reasons([address])).toEqual([]);
  const listening = await bunSockets.listen(address, "shared", () => owner);
  expect(await reasons([address])).toEqual(["another process listens there"]);
  expect(await reasons([address])).toEqual(["another process listens there"]);
  listening.stop();
});
