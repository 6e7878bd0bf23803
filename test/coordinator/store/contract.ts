/** What every store must do, as tests: the same ones for each implementation. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { VersionLimits } from "../../../src/coordinator/store/kept-version.ts";
import { MemoryStore } from "../../../src/coordinator/store/memory.ts";
import { type Store, storeLimits } from "../../../src/coordinator/store/store.ts";
import type { DocumentVersion, Instance } from "../../../src/mesh.ts";

export interface TestedStore {
  /** Empty; as many versions as a store keeps, unless it is said. */
  make(kept?: VersionLimits): Promise<Store>;
  /** The same one after its coordinator was closed and started again; null for a store that forgets. */
  readonly reopen: ((store: Store, kept?: VersionLimits) => Promise<Store>) | null;
}

export function instance(id: string, weight = 1): Instance {
  const address = { host: "10.0.0.1", port: 4143 };
  return { id, service: "payments", address, version: "v1", zone: null, weight, state: "healthy" };
}

export function version(number: number, text = "services: {}"): DocumentVersion {
  const config = { trustDomain: "store.example", egress: "allow" as const, services: [], plugins: [] };
  return {
    version: number,
    appliedEpochMs: 1000 + number,
    by: "maria",
    restores: number % 3 === 0 ? number - 1 : null,
    files: [{ name: "mesh.yaml", text }],
    config,
    resolved: { trustDomain: "store.example" },
  };
}

type Step = (store: Store) => Promise<unknown>;

const names = fc.constantFrom("a", "b", "c", "d");
const times = fc.integer({ min: 0, max: 20 });
const steps: fc.Arbitrary<readonly [string, Step]> = fc.oneof(
  fc
    .tuple(fc.constantFrom("authority" as const, "tokens" as const), names, fc.integer({ min: 0, max: 4 }))
    .map(([name, text, revision]) =>
      said({ swapSecret: [name, text, revision] }, (store) => store.swapSecret(name, text, revision)),
    ),
  fc
    .tuple(fc.integer({ min: 0, max: 6 }), names)
    .map(([number, text]) =>
      said({ appendVersion: number }, (store) => store.appendVersion(version(number, text))),
    ),
  fc
    .tuple(fc.array(fc.tuple(names, names, times), { maxLength: 3 }), fc.array(names, { maxLength: 2 }))
    .map(([put, removed]) => {
      const change = {
        put: put.map(([id, node, weight]) => ({ node, instance: instance(id, weight) })),
        removed,
      };
      return said({ changeInstances: change }, (store) => store.changeInstances(change));
    }),
  fc
    .tuple(names, names, fc.integer({ min: 0, max: 3 }), fc.tuple(times, times))
    .map(([tokenId, user, usesMax, [forgetEpochMs, now]]) =>
      said({ useToken: [tokenId, user, usesMax, forgetEpochMs, now] }, (store) =>
        store.useToken({ tokenId, user, usesMax, forgetEpochMs }, now),
      ),
    ),
  fc
    .tuple(names, times, times)
    .map(([service, untilEpochMs, now]) =>
      said({ putRemovedService: [service, untilEpochMs, now] }, (store) =>
        store.putRemovedService({ service, untilEpochMs }, now),
      ),
    ),
  names.map((name) => said({ deleteRemovedService: name }, (store) => store.deleteRemovedService(name))),
  fc.tuple(names, times, times, fc.option(names)).map(([serial, startsEpochMs, expiresEpochMs, node]) => {
    const issued = { serial, identity: "spiffe://store.example/a", node, startsEpochMs, expiresEpochMs };
    return said({ putIssuedCertificate: issued }, (store) =>
      store.putIssuedCertificate(issued, startsEpochMs),
    );
  }),
);

function said(what: object, step: Step): readonly [string, Step] {
  return [JSON.stringify(what), step];
}

/** All that a store can be asked. */
async function allOf(store: Store): Promise<unknown> {
  return {
    secrets: await Promise.all((["authority", "tokens"] as const).map((name) => store.readSecret(name))),
    current: await store.currentVersion(),
    versions: await Promise.all([0, 1, 2, 3, 4, 5, 6].map((number) => store.readVersion(number))),
    list: await store.listVersions(3),
    instances: await store.listInstances(),
    removed: await Promise.all([0, 10].map((now) => store.listRemovedServices(now))),
    issued: await Promise.all([0, 10].map((now) => store.listIssuedCertificates(now))),
  };
}

export function testStore(name: string, tested: TestedStore): void {
  describe(name, () => {
    changeTests(tested);
    versionTests(tested);
    countTests(tested);
    const { reopen } = tested;
    test("store answers like the one in memory, whatever happens to it", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(steps, { maxLength: 25 }), fc.nat(), async (path, pause) => {
          const model = new MemoryStore();
          let store = await tested.make();
          for (const [index, [what, step]] of path.entries()) {
            expect([what, await step(store)]).toEqual([what, await step(model)]);
            if (reopen !== null && index === pause % path.length) store = await reopen(store);
          }
          expect(await allOf(store)).toEqual(await allOf(model));
          await store.close();
        }),
        { numRuns: 60 },
      );
    });
  });
}

function changeTests({ make }: TestedStore): void {
  test("store swaps a secret only for who read the newest one", async () => {
    const store = await make();
    expect(await store.readSecret("tokens")).toBeNull();
    expect(await store.swapSecret("tokens", "first", 0)).toBe("stored");
    expect(await store.swapSecret("tokens", "other first", 0)).toBe("conflict");
    expect(await store.swapSecret("tokens", "second", 1)).toBe("stored");
    expect(await store.swapSecret("tokens", "other second", 1)).toBe("conflict");
    expect(await store.readSecret("tokens")).toEqual({ text: "second", revision: 2 });
    expect(await store.readSecret("authority")).toBeNull();
    await store.close();
  });

  test("store appends a version only after the current one", async () => {
    const store = await make();
    expect(await store.currentVersion()).toBeNull();
    expect(await store.appendVersion(version(2))).toBe("conflict");
    expect(await store.appendVersion(version(1))).toBe("stored");
    expect(await store.appendVersion(version(1, "other"))).toBe("conflict");
    const both = await Promise.all(
      [version(2, "x"), version(2, "y")].map((next) => store.appendVersion(next)),
    );
    expect(both).toEqual(["stored", "conflict"]);
    expect(await store.currentVersion()).toEqual(version(2, "x"));
    expect(await store.readVersion(1)).toEqual(version(1));
    expect(await store.listVersions(10)).toEqual([
      { version: 2, appliedEpochMs: 1002, by: "maria", restores: null },
      { version: 1, appliedEpochMs: 1001, by: "maria", restores: null },
    ]);
    await store.close();
  });

  test("store changes instances of one node at once", async () => {
    const store = await make();
    const stored = (id: string) => ({ node: "n1", instance: instance(id) });
    await store.changeInstances({ put: [stored("a"), stored("b")], removed: [] });
    await store.changeInstances({ put: [stored("c")], removed: ["a", "unknown"] });
    expect(await store.listInstances()).toEqual([stored("b"), stored("c")]);
    await store.close();
  });
}

function versionTests({ make, reopen }: TestedStore): void {
  test(`store keeps the last ${storeLimits.versions} versions`, async () => {
    const store = await make();
    for (let number = 1; number <= storeLimits.versions + 1; number += 1) {
      expect(await store.appendVersion(version(number))).toBe("stored");
    }
    expect(await store.readVersion(1)).toBeNull();
    expect(await store.readVersion(2)).toEqual(version(2));
    expect((await store.listVersions(1000)).length).toBe(storeLimits.versions);
    await store.close();
  });

  // Two bytes each in UTF-8.
  const ofBytes = (number: number, bytes: number) => version(number, "é".repeat(bytes / 2));
  const numbers = async (store: Store) => (await store.listVersions(1000)).map((one) => one.version);

  test("store keeps as many versions as fit into the bytes that it may have, the oldest forgotten first", async () => {
    const store = await make({ versions: 500, versionBytes: 4000 });
    for (let number = 1; number <= 10; number += 1) {
      expect(await store.appendVersion(ofBytes(number, 900))).toBe("stored");
    }
    expect(await numbers(store)).toEqual([10, 9, 8]);
    expect(await store.readVersion(7)).toBeNull();
    expect(await store.readVersion(8)).toEqual(ofBytes(8, 900));
    // Smaller ones again: there is room for more of them.
    for (let number = 11; number <= 20; number += 1) await store.appendVersion(ofBytes(number, 100));
    expect((await numbers(store)).length).toBeGreaterThan(5);
    await store.close();
  });

  test("store keeps the version that holds, however large it is, and goes on behind it", async () => {
    const store = await make({ versions: 500, versionBytes: 4000 });
    await store.appendVersion(version(1));
    await store.appendVersion(ofBytes(2, 10_000));
    expect(await numbers(store)).toEqual([2]);
    expect(await store.currentVersion()).toEqual(ofBytes(2, 10_000));
    expect(await store.appendVersion(version(2))).toBe("conflict");
    expect(await store.appendVersion(version(3))).toBe("stored");
    expect(await numbers(store)).toEqual([3]);
    await store.close();
  });

  if (reopen === null) return;
  test("store that had more versions than it may have now forgets them with the next", async () => {
    const before = await make();
    for (let number = 1; number <= 5; number += 1) await before.appendVersion(ofBytes(number, 900));
    const store = await reopen(before, { versions: 500, versionBytes: 2500 });
    expect(await numbers(store)).toEqual([5, 4, 3, 2, 1]);
    await store.appendVersion(ofBytes(6, 900));
    expect(await numbers(store)).toEqual([6, 5]);
    await store.close();
  });
}

function countTests({ make }: TestedStore): void {
  test("store counts uses of a token exactly under 50 at once", async () => {
    const store = await make();
    const use = { tokenId: "t", usesMax: 3, forgetEpochMs: 1000 };
    const users = Array.from({ length: 50 }, (_, index) => `n${index}`);
    const all = await Promise.all(users.map((user) => store.useToken({ ...use, user }, 0)));
    expect(all.filter((answer) => answer === "used").length).toBe(3);
    expect(await store.useToken({ ...use, user: "late" }, 999)).toBe("used-up");
    // Who had it may ask again.
    const again = await Promise.all(users.map((user) => store.useToken({ ...use, user }, 999)));
    expect(again).toEqual(all);
    expect(await store.useToken({ ...use, tokenId: "other", user: "late" }, 0)).toBe("used");
    await store.close();
  });

  test("store forgets removed services and certificates when they end", async () => {
    const store = await make();
    await store.putRemovedService({ service: "payments", untilEpochMs: 100 }, 0);
    await store.putRemovedService({ service: "accounts", untilEpochMs: 200 }, 0);
    expect(await store.listRemovedServices(100)).toEqual([{ service: "accounts", untilEpochMs: 200 }]);
    await store.deleteRemovedService("accounts");
    expect(await store.listRemovedServices(0)).toEqual([{ service: "payments", untilEpochMs: 100 }]);
    const issued = (serial: string, expiresEpochMs: number) =>
      ({
        serial,
        identity: "spiffe://store.example/a",
        node: null,
        startsEpochMs: 0,
        expiresEpochMs,
      }) as const;
    expect(await store.putIssuedCertificate(issued("02", 200), 0)).toBe("stored");
    expect(await store.putIssuedCertificate(issued("01", 100), 0)).toBe("stored");
    expect(await store.putIssuedCertificate(issued("01", 300), 0)).toBe("conflict");
    expect((await store.listIssuedCertificates(0)).map(({ serial }) => serial)).toEqual(["01", "02"]);
    expect((await store.listIssuedCertificates(100)).map(({ serial }) => serial)).toEqual(["02"]);
    await store.close();
  });
}
