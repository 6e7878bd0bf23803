import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import { nodeSockets } from "../../src/host/sockets/node.ts";
import type { ByteSocket, SocketOwner, Sockets } from "../../src/machine.ts";

/** Says a word to whoever connects. */
function saying(word: string): () => SocketOwner {
  return () => ({
    onOpen(socket: ByteSocket) {
      socket.write(Buffer.from(word), 0, word.length);
      socket.end();
    },
    onData() {},
    onDrain() {},
    onEnd() {},
    onClose() {},
  });
}

function heard(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once("data", (word) => resolve(String(word)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed without a word")));
  });
}

function newPath(): { folder: string; unixPath: string } {
  const folder = mkdtempSync(join(tmpdir(), "clearway-unix-"));
  return { folder, unixPath: join(folder, "web.sock") };
}

const hosts: readonly (readonly [string, Sockets])[] = [
  ["Bun", bunSockets],
  ["Node", nodeSockets],
];

for (const [name, sockets] of hosts) {
  describe(`unix paths that are shared, on ${name}`, () => {
    test("go from a listener to its successor without a moment between, and with the last one", async () => {
      const { folder, unixPath } = newPath();
      const first = await sockets.listen({ unixPath }, "shared", saying("first"));
      expect([await heard(unixPath), first.address]).toEqual(["first", { unixPath }]);
      const asked = Array.from({ length: 20 }, () => heard(unixPath));
      const second = await sockets.listen({ unixPath }, "shared", saying("second"));
      expect(await heard(unixPath)).toBe("second");
      for (const word of await Promise.all(asked)) expect(["first", "second"]).toContain(word);
      first.stop();
      expect(await heard(unixPath)).toBe("second");
      second.stop();
      expect(readdirSync(folder)).toEqual([]);
    });

    test("are not taken from a file", async () => {
      const { unixPath } = newPath();
      writeFileSync(unixPath, "a letter");
      await expect(sockets.listen({ unixPath }, "shared", saying("x"))).rejects.toMatchObject({
        code: "EADDRINUSE",
      });
    });

    test("are refused to a second listener that is not to share", async () => {
      const { unixPath } = newPath();
      const { stop } = await sockets.listen({ unixPath }, "exclusive", saying("first"));
      await expect(sockets.listen({ unixPath }, "exclusive", saying("x"))).rejects.toThrow();
      stop();
    });
  });
}
