/** How soon callers know who comes and who goes, by a real coordinator. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Instance } from "../../src/mesh.ts";
import { until } from "../program.ts";
import { startCalls } from "./calls.ts";
import { well } from "./sidecars.ts";
import { type Member, median, StartedMesh } from "./started-mesh.ts";

let mesh: StartedMesh;
let storefront: Member;

beforeAll(async () => {
  mesh = await StartedMesh.start(
    '  storefront: {}\n  payments: { allow: [{ from: "*" }], retry: { attempts: 3 } }\n',
  );
  [storefront] = await Promise.all([
    mesh.begin("storefront", { upstreams: ["payments"] }),
    mesh.begin("payments", { name: "payments-1" }),
  ]);
  await mesh.well();
  await until(used, (ports) => ports.length === 1);
}, 60_000);

afterAll(() => mesh?.stop());

/** Ports of the instances that storefront's node sends requests to. */
async function used(): Promise<readonly number[]> {
  const answer = await fetch(`http://127.0.0.1:${storefront.sidecar.admin}/snapshot`);
  const { services } = (await answer.json()) as {
    services: { name: string; endpoints: { address: string; health: string; state?: string }[] }[];
  };
  const endpoints = services.find(({ name }) => name === "payments")?.endpoints ?? [];
  return endpoints
    .filter((endpoint) => !JSON.stringify(endpoint).includes("draining"))
    .map(({ address }) => Number(address.split(":")[1]));
}

/** As the coordinator has it. */
async function registered(port: number): Promise<Instance["state"] | "unknown"> {
  const { instances } = await mesh.operator.get<{ instances: Instance[] }>("/v1/instances?service=payments");
  const found = instances.find(({ address }) => "port" in address && address.port === port);
  return found?.state ?? "unknown";
}

async function sinceMs(startedAtMs: number, inbound: number, wanted: "used" | "unused"): Promise<number> {
  await until(used, (ports) => ports.includes(inbound) === (wanted === "used"));
  return performance.now() - startedAtMs;
}

test("an instance is used within a second of registering, and no longer within one of draining", async () => {
  const took: Record<"came" | "went", number[]> = { came: [], went: [] };
  const calls = startCalls(`http://${storefront.sidecar.upstreams.payments}/`);
  for (let time = 0; time < 3; time++) {
    const { sidecar } = await mesh.begin("payments", { name: "payments-2" });
    await until(
      () => registered(sidecar.inbound),
      (state) => state === "healthy",
    );
    took.came.push(await sinceMs(performance.now(), sidecar.inbound, "used"));
    await well(sidecar);
    const ended = sidecar.running.stop();
    await until(
      () => registered(sidecar.inbound),
      (state) => state !== "healthy",
    );
    took.went.push(await sinceMs(performance.now(), sidecar.inbound, "unused"));
    expect(await ended).toBe(0);
    expect(await registered(sidecar.inbound)).toBe("unknown");
  }
  await calls.stop();
  expect(calls.failures()).toEqual([]);
  expect(median(took.came)).toBeLessThan(1000);
  expect(median(took.went)).toBeLessThan(1000);
}, 60_000);

test("one that is killed gets no request after its connections failed, and is gone within its lease", async () => {
  const { sidecar } = await mesh.begin("payments", { name: "payments-3" });
  const calls = startCalls(`http://${storefront.sidecar.upstreams.payments}/`);
  const answered = () => calls.outcomes.get("200 payments-3") ?? 0;
  await until(answered, (count) => count > 20);
  const { pid } = sidecar.running;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  for (const one of [String(pid), ...children]) if (one !== "") process.kill(Number(one), "SIGKILL");
  const killedAtMs = performance.now();
  const last = answered();
  const after = calls.count;
  await until(
    () => calls.count,
    (count) => count > after + 300,
  );
  expect(answered() - last).toBeLessThan(8);
  const tookMs = await sinceMs(killedAtMs, sidecar.inbound, "unused");
  // A lease of 10 s; callers hear within a second of its end, and the machine may be busy.
  expect(tookMs).toBeLessThan(12_000);
  await calls.stop();
  expect(calls.failures()).toEqual([]);
}, 60_000);
