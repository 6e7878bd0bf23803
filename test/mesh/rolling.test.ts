/** Instances of a service that are restarted one after the other while it is called, by a real coordinator. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../program.ts";
import { startCalls } from "./calls.ts";
import { type StartedSidecar, startSidecar, well } from "./sidecars.ts";
import { type Member, median, StartedMesh } from "./started-mesh.ts";

let mesh: StartedMesh;
let callers: Member[];
let instances: Member[];
const started: StartedSidecar[] = [];

beforeAll(async () => {
  // Nothing is sent twice.
  mesh = await StartedMesh.start(
    '  storefront: {}\n  accounts: {}\n  payments: { allow: [{ from: "*" }] }\n',
  );
  const upstreams = ["payments"];
  [callers, instances] = await Promise.all([
    Promise.all(["storefront", "accounts"].map((service) => mesh.begin(service, { upstreams }))),
    Promise.all([1, 2, 3].map((number) => mesh.begin("payments", { name: `payments-${number}` }))),
  ]);
  await mesh.well();
  await until(fewestKnown, (count) => count === 3);
});

afterAll(async () => {
  await Promise.all(started.map(({ running }) => running.stop()));
  await mesh?.stop();
});

const url = ({ sidecar }: Member) => `http://${sidecar.upstreams.payments}/charge`;

/** Ports of the instances that a caller's node sends requests to. */
async function known({ sidecar }: Member): Promise<readonly number[]> {
  const answer = await fetch(`http://127.0.0.1:${sidecar.admin}/snapshot`);
  const { services } = (await answer.json()) as {
    services: { name: string; endpoints: { address: string }[] }[];
  };
  const endpoints = services.find(({ name }) => name === "payments")?.endpoints ?? [];
  return endpoints.map(({ address }) => Number(address.split(":")[1]));
}

async function fewestKnown(): Promise<number> {
  return Math.min(...(await Promise.all(callers.map(known))).map((ports) => ports.length));
}

/** Callers that send one POST after the other, each with an id of its own. */
function startPosts(to: string, count: number) {
  const failures: string[] = [];
  let posted = 0;
  let stopped = false;
  const post = async (id: string) => {
    const sent = { method: "POST", body: "x".repeat(1024), headers: { "x-id": id } };
    try {
      const answer = await fetch(to, sent);
      const text = await answer.text();
      if (answer.status !== 200) failures.push(`${id}: ${answer.status} ${text}`);
    } catch (error) {
      failures.push(`${id}: ${error}`);
    }
  };
  const loop = async () => {
    while (!stopped) await post(`${to} ${++posted}`);
  };
  const loops = Array.from({ length: count }, loop);
  return {
    failures,
    async stop() {
      stopped = true;
      await Promise.all(loops);
    },
  };
}

/** Ids of POSTs that reached an app, of all apps. */
function begun(): readonly string[] {
  const requests = instances.flatMap(({ app }) => app.requests);
  return requests.flatMap(({ headers }) => (typeof headers["x-id"] === "string" ? [headers["x-id"]] : []));
}

test("a rolling restart fails no request, POST included; callers know within a second who goes", async () => {
  const gets = callers.map((caller) => startCalls(url(caller), 8));
  const posts = callers.map((caller) => startPosts(url(caller), 4));
  const took: number[] = [];
  for (const { app, sidecar } of instances) {
    const before = app.requests.length;
    await until(
      () => app.requests.length,
      (count) => count > before + 50,
    );
    const startedAtMs = performance.now();
    const ended = sidecar.running.stop();
    const gone = async () => (await Promise.all(callers.map(known))).flat().includes(sidecar.inbound);
    await until(gone, (is) => !is);
    took.push(performance.now() - startedAtMs);
    expect(await ended).toBe(0);
    const { state } = sidecar;
    const again = await startSidecar({ service: "payments", app: app.port, coordinator: mesh.url, state });
    started.push(again);
    await well(again);
    await until(fewestKnown, (count) => count === 3);
  }
  await Promise.all([...gets, ...posts].map((calls) => calls.stop()));
  expect(gets.map((calls) => calls.failures())).toEqual([[], []]);
  expect(posts.map(({ failures }) => failures)).toEqual([[], []]);
  const ids = begun();
  expect(ids.length).toBeGreaterThan(100);
  expect(new Set(ids).size).toBe(ids.length);
  expect(median(took)).toBeLessThan(1000);
});
