/** Three services, each with its sidecar, as real processes: who may call, and what callers notice of those who go. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { MeshService } from "../../src/mesh.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { filterEntry, meshService, route } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

const apps: App[] = [];
const sidecars: StartedSidecar[] = [];
let coordinator: HttpsCoordinator;
let storefront: StartedSidecar;
let accounts: StartedSidecar;
let payments: StartedSidecar;

async function begin(service: string, name = service, upstreams: readonly string[] = []) {
  const app = await startApp(name);
  apps.push(app);
  const token = await coordinator.token(service);
  const wish = { service, app: app.port, token, upstreams, coordinator: coordinator.url };
  const sidecar = await startSidecar(wish);
  sidecars.push(sidecar);
  return sidecar;
}

/** Repeats what may be repeated. */
function retried(name: string, changed: Partial<MeshService> = {}): MeshService {
  const service = meshService(name);
  const retry = filterEntry("retry", { attempts: 3 });
  const routes = [route(name, { filters: [retry] })];
  return { ...service, caller: { ...service.caller, routes }, ...changed };
}

const storefrontOnly = { from: "storefront", method: "GET" };

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  const options = { trustDomain: "store.example", default: "deny", allow: [storefrontOnly], audit: [] };
  const inbound = [filterEntry("policy", options)];
  const callee = { mtls: "strict" as const, inbound, others: [], healthCheck: null };
  coordinator.rules.set("payments", retried("payments", { callee }));
  coordinator.rules.set("storefront", meshService("storefront"));
  coordinator.rules.set("accounts", meshService("accounts"));
  await coordinator.start();
  [storefront, accounts, payments] = await Promise.all([
    begin("storefront", "storefront", ["payments"]),
    begin("accounts", "accounts", ["payments"]),
    begin("payments", "payments-1"),
  ]);
  await Promise.all(sidecars.map(ready));
  await Promise.all(sidecars.map(well));
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await Promise.all(apps.map((app) => app.close()));
  await coordinator?.stop();
});

async function get(url: string, init: RequestInit = {}) {
  const response = await fetch(url, { ...init, keepalive: false });
  const reason = response.headers.get("x-clearway-reason");
  return { status: response.status, text: await response.text(), reason };
}

const charge = () => `http://${storefront.upstreams.payments}/charge`;

function answered(url: string, pattern: RegExp) {
  return until(
    () => get(url),
    ({ text }) => pattern.test(text),
  );
}

/** All processes of a node at once, as a machine that loses power. */
function kill({ running }: StartedSidecar): void {
  const children = readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, "utf8");
  for (const pid of [running.pid, ...children.split(" ").filter((text) => text !== "")]) {
    process.kill(Number(pid), "SIGKILL");
  }
}

describe("sidecars", () => {
  test("a call goes from one app's port through both nodes to the other app", async () => {
    const answer = await answered(charge(), /payments/);
    expect(answer).toEqual({ status: 200, text: "payments-1 GET /charge", reason: null });
  });

  test("the callee's policy knows who calls: others are refused, and so is what is not allowed", async () => {
    await answered(charge(), /payments/);
    const denied = await until(
      () => get(`http://${accounts.upstreams.payments}/charge`),
      ({ status }) => status !== 503,
    );
    expect(denied).toMatchObject({ status: 403, reason: "policy-denied" });
    expect(denied.text).toBe("policy-denied: spiffe://store.example/accounts may not GET /charge\n");
    const posted = await get(charge(), { method: "POST" });
    expect(posted.text).toBe("policy-denied: spiffe://store.example/storefront may not POST /charge\n");
  });

  test("what an app says under x-clearway-reason is not a node's word", async () => {
    const answer = await answered(`http://${storefront.upstreams.payments}/pretend`, /payments/);
    expect(answer.reason).toBeNull();
  });

  test("its inbound listener lets nobody in who proves nothing", async () => {
    const plain = await get(`http://127.0.0.1:${payments.inbound}/charge`);
    expect(plain).toMatchObject({ status: 400, reason: "mtls-required" });
  });

  test("the outbound listener takes Host: NAME.mesh", async () => {
    await answered(charge(), /payments/);
    const url = `http://127.0.0.1:${storefront.outbound}/charge`;
    expect((await get(url, { headers: { host: "payments.mesh" } })).text).toBe("payments-1 GET /charge");
  });

  test("it says what it listens on, who it is, and where admin is", () => {
    const text = payments.running.output();
    expect(text).toContain("serves the sidecar of payments");
    expect(text).toContain(`listener inbound on https://127.0.0.1:${payments.inbound}`);
    expect(text).toContain(`listener outbound on http://127.0.0.1:${payments.outbound}`);
    expect(text).toContain("identity spiffe://store.example/payments; its certificate ends at ");
    expect(text).toContain(`admin on http://127.0.0.1:${payments.admin}`);
  });

  test("an instance that is stopped leaves the mesh first: its callers lose no request", async () => {
    const second = await begin("payments", "payments-2");
    await well(second);
    await answered(charge(), /payments-2/);
    const calls = startCalls(charge());
    await until(
      () => calls.outcomes.get("200 payments-2") ?? 0,
      (count) => count > 20,
    );
    expect(await second.running.stop()).toBe(0);
    const after = calls.count;
    await until(
      () => calls.count,
      (count) => count > after + 100,
    );
    await calls.stop();
    expect(calls.failures()).toEqual([]);
    const states = coordinator.leases
      .flatMap(({ instances }) => instances)
      .filter(({ address }) => "port" in address && address.port === second.inbound)
      .map(({ state }) => state);
    expect(states.at(-1)).toBe("draining");
  });

  test("an instance whose node is killed loses no request that may be repeated", async () => {
    const second = await begin("payments", "payments-2");
    await well(second);
    await answered(charge(), /payments-2/);
    const calls = startCalls(charge());
    await until(
      () => calls.outcomes.get("200 payments-2") ?? 0,
      (count) => count > 20,
    );
    kill(second);
    const before = calls.outcomes.get("200 payments-2");
    const after = calls.count;
    // The coordinator still names it: its failing connections alone tell.
    await until(
      () => calls.count,
      (count) => count > after + 300,
    );
    await calls.stop();
    expect(calls.failures()).toEqual([]);
    expect((calls.outcomes.get("200 payments-2") ?? 0) - (before ?? 0)).toBeLessThan(8);
  });
});
