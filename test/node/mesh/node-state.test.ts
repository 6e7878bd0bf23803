import { describe, expect, test } from "bun:test";
import type { PrivateFolder } from "../../../src/machine.ts";
import { NodeState, type OwnCredentials } from "../../../src/node/mesh/node-state.ts";
import { SeededRandom } from "../../../src/testing/seeded-random.ts";

const credentials: OwnCredentials = {
  key: "the key",
  certificate: "the certificate",
  roots: "the roots",
  trustDomain: "store.example",
  identity: "spiffe://store.example/payments",
  startsEpochMs: 1,
  expiresEpochMs: 2,
  obtainedEpochMs: 1,
};
const knowledge = {
  version: 3,
  mesh: { trustDomain: "store.example", egress: "allow" as const, removed: [], roots: "r" },
  services: {},
};

function memoryFolder(files = new Map<string, string>()): PrivateFolder & { files: Map<string, string> } {
  return {
    files,
    read: async (name) => files.get(name) ?? null,
    replace: async (name, text) => void files.set(name, text),
    release() {},
  };
}

describe("NodeState", () => {
  test("has after a restart what it kept, and the same id", async () => {
    const folder = memoryFolder();
    const state = new NodeState(folder);
    const id = await state.nodeId(new SeededRandom(1));
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    await state.keepCredentials(credentials);
    await state.keepMesh(knowledge);
    const again = new NodeState(memoryFolder(folder.files));
    expect(await again.nodeId(new SeededRandom(2))).toBe(id);
    expect(await again.credentials()).toEqual(credentials);
    expect(await again.mesh()).toEqual(knowledge);
    expect(folder.files.get("certificate.pem")).toBe("the certificate");
  });

  test("an empty folder, and what cannot be read, is as if nothing was kept", async () => {
    expect(await new NodeState(memoryFolder()).credentials()).toBeNull();
    const broken = new Map([
      ["credentials.json", '{"format":1,"kept":{"ke'],
      ["mesh.json", '{"format":99,"kept":{}}'],
      ["node.json", '{"format":1,"kept":{"id":"../x"}}'],
    ]);
    const state = new NodeState(memoryFolder(broken));
    expect(await state.credentials()).toBeNull();
    expect(await state.mesh()).toBeNull();
    expect(await state.nodeId(new SeededRandom(1))).toMatch(/^[0-9a-f]{32}$/);
  });

  test("of two views kept at the same time the later one stays; one that failed does not stop the next", async () => {
    const files = new Map<string, string>();
    let failing = true;
    const folder: PrivateFolder = {
      ...memoryFolder(files),
      async replace(name, text) {
        if (failing) throw new Error("no space left");
        const { version } = JSON.parse(text).kept;
        // The first takes longer than the second.
        await new Promise((resolve) => setTimeout(resolve, version === 1 ? 20 : 0));
        files.set(name, text);
      },
    };
    const state = new NodeState(folder);
    await expect(state.keepMesh(knowledge)).rejects.toThrow("no space left");
    failing = false;
    await Promise.all([
      state.keepMesh({ ...knowledge, version: 1 }),
      state.keepMesh({ ...knowledge, version: 2 }),
    ]);
    expect((await state.mesh())?.version).toBe(2);
  });

  test("its folder is let go when what is being written is written, not before", async () => {
    const steps: string[] = [];
    const written = Promise.withResolvers<void>();
    const folder: PrivateFolder = {
      ...memoryFolder(),
      async replace(name) {
        await written.promise;
        steps.push(name);
      },
      release: () => void steps.push("let go"),
    };
    const state = new NodeState(folder);
    const kept = Promise.all([state.keepCredentials(credentials), state.keepMesh(knowledge)]);
    const closed = state.close();
    written.resolve();
    await Promise.all([kept, closed]);
    expect(steps).toEqual(["credentials.json", "certificate.pem", "roots.pem", "mesh.json", "let go"]);
  });
});
