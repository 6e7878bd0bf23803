/**
 * What a sidecar holds of a large mesh: the services that it uses, however many there are beside them. The sidecars are real
 * processes, the coordinators are real and run here; instances come from their stores, so that nobody has to be there.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { processTree } from "../../bench/processes.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import type { Address, Clock } from "../../src/machine.ts";
import {
  KeptDocuments,
  type OpenedCoordinator,
  openCoordinator,
  type ServedCoordinator,
  served,
  trustDomain,
} from "../coordinator/running-coordinator.ts";
import { instance, meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { ready, type StartedSidecar, startSidecar } from "./sidecars.ts";
import { call } from "./started-mesh.ts";

const few = ["storefront", "payments", "accounts"];
const unused = Array.from({ length: 3_000 }, (_, at) => `unused-${at}`);
const instancesOfEach = 4;
/** A lease of this coordinator's takes five minutes: nobody is there to renew any. */
const slowly: Clock = { ...systemClock, now: () => systemClock.now() / 30 };

interface Mesh {
  readonly opened: OpenedCoordinator;
  readonly serving: ServedCoordinator;
  readonly sidecar: StartedSidecar;
}

const meshes: Mesh[] = [];
let small: Mesh;
let large: Mesh;

/** On addresses where nobody listens. */
function addressOf(index: number): Address {
  return { host: `127.${1 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`, port: 9 };
}

function instancesOf(service: string, index: number) {
  return Array.from({ length: instancesOfEach }, (_, at) => {
    const id = `${service}-${at}`;
    const address = addressOf(index * instancesOfEach + at);
    return { node: id, instance: instance(id, { service, address }) };
  });
}

/** With a sidecar of storefront, whose app calls payments and has not answered yet. */
async function meshOf(services: readonly string[]): Promise<Mesh> {
  const store = new MemoryStore();
  await new KeptDocuments(store).keep(
    1,
    "ops",
    services.map((name) => meshService(name)),
  );
  const callees = services.filter((service) => service !== "storefront");
  await store.changeInstances({ put: callees.flatMap(instancesOf), removed: [] });
  const opened = await openCoordinator(slowly, store);
  const serving = await served(opened);
  const wish = { trustDomain, service: "storefront", ttlMs: 600_000, uses: 1 };
  const { token } = await opened.tokens.createJoin(wish);
  const coordinator = `https://127.0.0.1:${serving.port}`;
  const sidecar = await startSidecar({
    ...{ service: "storefront", app: 9, coordinator, token },
    upstreams: ["payments"],
  });
  const mesh = { opened, serving, sidecar };
  meshes.push(mesh);
  return mesh;
}

beforeAll(async () => {
  [small, large] = await Promise.all([meshOf(few), meshOf([...few, ...unused])]);
  await Promise.all(meshes.map(({ sidecar }) => ready(sidecar)));
}, 90_000);

afterAll(async () => {
  await Promise.all(meshes.map(({ sidecar }) => sidecar.running.stop()));
  for (const { opened, serving } of meshes) {
    await opened.coordinator.close();
    await serving.listener.drain(100);
  }
});

interface View {
  readonly mesh: { readonly instances: readonly { readonly service: string; readonly healthy: number }[] };
  readonly services: readonly { readonly name: string }[];
  readonly listeners: readonly { readonly name: string; readonly routes: readonly unknown[] }[];
}

/** What the node knows of its mesh, and what its workers got of that. */
async function held({ sidecar }: Mesh) {
  const view = (await (await fetch(`http://127.0.0.1:${sidecar.admin}/snapshot`)).json()) as View;
  return {
    instances: Object.fromEntries(view.mesh.instances.map(({ service, healthy }) => [service, healthy])),
    services: view.services.map(({ name }) => name).sort(),
    routes: Object.fromEntries(view.listeners.map(({ name, routes }) => [name, routes.length])),
  };
}

/** The services that it keeps for its next start. */
async function kept({ sidecar }: Mesh): Promise<readonly string[]> {
  const file = join(sidecar.state, "mesh.json");
  await until(
    () => existsSync(file),
    (there) => there,
  );
  const { kept: knowledge } = JSON.parse(readFileSync(file, "utf8")) as { kept: { services: object } };
  return Object.keys(knowledge.services).sort();
}

/** One of the coordinator's own numbers. */
async function metric({ opened, serving }: Mesh, name: string): Promise<number> {
  const response = await fetch(`${serving.url}/metrics`, { tls: { ca: opened.authority.roots } });
  const sample = new RegExp(`^clearway_coordinator_${name} (\\d+)$`, "m").exec(await response.text());
  return Number(sample?.[1]);
}

const toldBytes = (mesh: Mesh) => metric(mesh, "feed_bytes_total");

/**
 * Of all processes of the node, what is theirs alone: how much of a shared page counts as whose changes with every other
 * program that runs from the same file.
 */
function ownBytes({ sidecar }: Mesh): number {
  const each = processTree(sidecar.running.pid).map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
    return Number(/^Pss_Anon: +(\d+) kB$/m.exec(text)?.[1]) * 1024;
  });
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

test("a node is told of, has and keeps the services that it uses, whether there are 3 in its mesh or 3,003", async () => {
  expect(await metric(large, "instances")).toBe((2 + unused.length) * instancesOfEach);
  for (const mesh of [small, large]) {
    expect(await held(mesh)).toEqual({
      instances: { payments: instancesOfEach, storefront: 0 },
      services: ["payments", "storefront:app"],
      routes: { inbound: 1, outbound: 1, "upstream-payments": 1 },
    });
    expect(await kept(mesh)).toEqual(["payments", "storefront"]);
  }
  // The same lines in both, and now and then one that says that the coordinator is there. All rules are megabytes.
  expect(await toldBytes(small)).toBeGreaterThan(2_000);
  expect(await toldBytes(large)).toBeLessThan((await toldBytes(small)) + 16_384);
}, 90_000);

test("a node's memory does not grow with the services that it does not use", async () => {
  const more = () => (ownBytes(large) - ownBytes(small)) / 2 ** 20;
  // What a start left behind goes at different times.
  await until(more, (mebibytes) => mebibytes < 8);
}, 90_000);

test("of a service that its app calls then, a node learns, and of that one alone", async () => {
  const before = await toldBytes(large);
  // Its node knows it by then: there is nobody at its addresses.
  await until(
    () => call(large.sidecar, "unused-17"),
    ({ reason }) => reason === "no-healthy-endpoint",
  );
  expect(await held(large)).toMatchObject({
    instances: { payments: instancesOfEach, storefront: 0, "unused-17": instancesOfEach },
    services: ["payments", "storefront:app", "unused-17"],
  });
  expect((await toldBytes(large)) - before).toBeLessThan(32_768);
}, 90_000);
