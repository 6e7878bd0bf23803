import { beforeEach, expect, test } from "bun:test";
import { leafMs } from "../../src/coordinator/identity/authority.ts";
import { RemovedServices } from "../../src/coordinator/removed-services.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import { StoreFailure } from "../../src/coordinator/store/store.ts";
import type { MeshConfig } from "../../src/mesh.ts";
import { Recorders } from "../../src/testing/recorders.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { meshService } from "./mesh-documents.ts";

let clock: VirtualClock;
let store: MemoryStore;
let recorders: Recorders;

beforeEach(() => {
  clock = new VirtualClock();
  store = new MemoryStore();
  recorders = new Recorders(() => {});
});

async function start(): Promise<RemovedServices> {
  const services = new RemovedServices({ store, clock, log: recorders.log });
  await services.load();
  return services;
}

function document(...names: string[]): { config: MeshConfig } {
  const services = names.map((name) => meshService(name));
  return { config: { trustDomain: "store.example", egress: "allow", services, plugins: [] } };
}

test("a service that a document no longer has is refused at once, until its last certificate has ended", async () => {
  const services = await start();
  const { removed, stored } = services.documentChanged(
    document("payments", "accounts"),
    document("accounts"),
  );
  expect(removed).toEqual(["payments"]);
  expect([services.has("payments"), services.has("accounts")]).toEqual([true, false]);
  await stored;
  const again = await start();
  clock.advance(leafMs - 1);
  expect([services.names(), again.names()]).toEqual([["payments"], ["payments"]]);
  clock.advance(1);
  expect([services.names(), again.names()]).toEqual([[], []]);
});

test("a certificate that a clock which was ahead made is refused as long as it holds", async () => {
  const expiresEpochMs = clock.epochMs() + leafMs + 3_600_000;
  const identity = "spiffe://store.example/payments";
  const issued = { serial: "1", identity, node: null, startsEpochMs: 0, expiresEpochMs };
  await store.putIssuedCertificate(issued, clock.epochMs());
  const services = await start();
  await services.documentChanged(document("payments"), document()).stored;
  clock.advance(leafMs + 3_600_000 - 1);
  expect(services.names()).toEqual(["payments"]);
  clock.advance(1);
  expect(services.names()).toEqual([]);
});

test("a service that is back in the document is let in again, after a restart too", async () => {
  const services = await start();
  await services.documentChanged(document("payments"), document()).stored;
  await services.documentChanged(document(), document("payments")).stored;
  expect(services.names()).toEqual([]);
  expect((await start()).names()).toEqual([]);
});

test("a service that is back before the store knew that it was gone stays", async () => {
  const services = await start();
  const gone = services.documentChanged(document("payments"), document());
  const back = services.documentChanged(document(), document("payments"));
  await Promise.all([gone.stored, back.stored]);
  expect(services.names()).toEqual([]);
});

test("a store that does not take it is said; the service is refused nevertheless", async () => {
  store.putRemovedService = () => Promise.reject(new StoreFailure("store-full", "no room left"));
  const services = await start();
  await services.documentChanged(document("payments"), document()).stored;
  expect(services.has("payments")).toBe(true);
  expect(recorders.logged).toMatchObject([{ level: "error", fields: { why: "no room left" } }]);
});
