/** A real coordinator that is killed and comes back, and what it hears of apps that are unwell and nodes that are gone. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { type Running, startClearway, until } from "../program.ts";
import { type App, failing, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-killed-"));
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];
let coordinator: Running;
let bind: string;
let storefront: StartedSidecar;
let first: StartedSidecar;
let second: StartedSidecar;

const document = `trustDomain: store.example
services:
  storefront: {}
  payments:
    allow: [{ from: storefront }]
    retry: { attempts: 3 }
    healthCheck: { path: /healthz, interval: 200ms, timeout: 1s, healthy: 1, unhealthy: 2 }
`;

async function startCoordinator(): Promise<Running> {
  const running = startClearway(["coordinator", "-c", "mesh.yaml", "--bind", bind], { folder });
  await until(running.output, (text) => text.includes("coordinates store.example"));
  return running;
}

async function begin(service: string, name: string, upstreams: readonly string[] = []) {
  const app = await startApp(name);
  apps.push(app);
  const asked = ["token", "create", "--service", service, "--coordinator", `https://${bind}`];
  const verb = startClearway(asked, { folder });
  await verb.ended;
  const token = verb.output().trim().split("\n").at(-1)!;
  const wish = { service, app: app.port, token, upstreams, coordinator: `https://${bind}` };
  const sidecar = await startSidecar(wish);
  sidecars.push(sidecar);
  return sidecar;
}

const url = () => `http://${storefront.upstreams.payments}/charge`;

/** As storefront's node has them. */
async function endpoints(): Promise<readonly { address: string; health: string }[]> {
  const answer = await fetch(`http://127.0.0.1:${storefront.admin}/snapshot`);
  const { services } = (await answer.json()) as {
    services: { name: string; endpoints: { address: string; health: string }[] }[];
  };
  return services.find(({ name }) => name === "payments")?.endpoints ?? [];
}

beforeAll(async () => {
  writeFileSync(join(folder, "mesh.yaml"), document);
  bind = `127.0.0.1:${await freePort()}`;
  coordinator = await startCoordinator();
  [storefront, first, second] = await Promise.all([
    begin("storefront", "storefront", ["payments"]),
    begin("payments", "payments-1"),
    begin("payments", "payments-2"),
  ]);
  await Promise.all(sidecars.map(ready));
  await Promise.all(sidecars.map(well));
  await until(endpoints, (all) => all.length === 2);
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await coordinator?.stop();
  await Promise.all(apps.map((app) => app.close()));
  rmSync(folder, { recursive: true });
});

function kill({ pid }: Running): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  for (const one of [pid, ...children.split(" ").filter((text) => text !== "")]) {
    process.kill(Number(one), "SIGKILL");
  }
}

describe("a mesh", () => {
  test("an app that is unwell is known to its callers, and when it is well again", async () => {
    failing.add("payments-2");
    const address = `127.0.0.1:${second.inbound}`;
    const health = async () => (await endpoints()).find((one) => one.address === address)?.health;
    await until(health, (seen) => seen === "unhealthy");
    const calls = startCalls(url());
    await until(
      () => calls.count,
      (count) => count > 50,
    );
    await calls.stop();
    expect([...calls.outcomes.keys()]).toEqual(["200 payments-1"]);
    failing.delete("payments-2");
    await until(health, (seen) => seen === "healthy");
  });

  test("goes on while its coordinator is dead, and after that knows of it all again", async () => {
    const calls = startCalls(url());
    kill(coordinator);
    await coordinator.ended;
    const readyz = () => fetch(`http://127.0.0.1:${storefront.admin}/readyz`).then((answer) => answer.text());
    await until(readyz, (text) => text.includes("warning: renewing the lease") && text.includes("the feed"));
    const during = calls.count;
    await until(
      () => calls.count,
      (count) => count > during + 100,
    );
    coordinator = await startCoordinator();
    await Promise.all(sidecars.map(well));
    const after = calls.count;
    await until(
      () => calls.count,
      (count) => count > after + 100,
    );
    await calls.stop();
    expect(calls.failures()).toEqual([]);
    expect(await endpoints()).toHaveLength(2);
  });

  test("a node that is killed is forgotten when its lease ends, and no request was lost meanwhile", async () => {
    const calls = startCalls(url());
    await until(
      () => calls.outcomes.get("200 payments-2") ?? 0,
      (count) => count > 5,
    );
    kill(second.running);
    await until(endpoints, (all) => all.length === 1);
    await calls.stop();
    expect(calls.failures()).toEqual([]);
    expect(await endpoints()).toMatchObject([{ address: `127.0.0.1:${first.inbound}` }]);
  });
});
