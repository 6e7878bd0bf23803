/** Real sidecars whose coordinator has no room left, and comes back with an older clock: what goes on, what is said. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/host/clock/node.ts";
import type { Clock } from "../../src/machine.ts";
import { documentOf } from "../config/mesh/loading.ts";
import { startWhole, type WholeCoordinator } from "../coordinator/whole-coordinator.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { type StartedSidecar, startSidecar, well } from "./sidecars.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-faults-"));
const path = join(folder, "coordinator.sqlite");
const dayMs = 86_400_000;
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];
let whole: WholeCoordinator;
let storefront: StartedSidecar;
let setBackMs = 0;
const clock: Clock = { ...systemClock, epochMs: () => systemClock.epochMs() - setBackMs };

const document = (timeoutMs = 2000) =>
  documentOf(`  storefront: {}
  payments: { allow: [{ from: "*" }], retry: { attempts: 3 }, timeout: ${timeoutMs}ms }
`);

async function token(service: string): Promise<string> {
  const wish = { service, ttlMs: 600_000, uses: 1 };
  return (await whole.operator.post<{ token: string }>("/v1/tokens", wish)).token;
}

async function begin(service: string, name = service, given?: string): Promise<StartedSidecar> {
  const app = await startApp(name);
  apps.push(app);
  const upstreams = service === "storefront" ? ["payments"] : [];
  const wish = { service, app: app.port, coordinator: whole.url, upstreams };
  const sidecar = await startSidecar({ ...wish, token: given ?? (await token(service)) });
  sidecars.push(sidecar);
  return sidecar;
}

const url = () => `http://${storefront.upstreams.payments}/charge`;
const status = () => fetch(url()).then((response) => response.status);

beforeAll(async () => {
  whole = await startWhole({ path, document: await document(), clock });
  [storefront] = await Promise.all([begin("storefront"), begin("payments", "payments-1")]);
  await Promise.all(sidecars.map(well));
  await until(status, (code) => code === 200);
}, 60_000);

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await whole?.coordinator.close();
  await Promise.all(apps.map((app) => app.close()));
  rmSync(folder, { recursive: true });
});

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    ({ reason }: { reason?: string }) => reason,
  );

async function apply(timeoutMs: number): Promise<unknown> {
  const { files, config, resolved } = await document(timeoutMs);
  return whole.operator.put("/v1/document", { files, checked: { config, resolved }, base: null });
}

test("with a store that is full traffic and leases go on; what it cannot remember it says, until there is room", async () => {
  const spare = await token("payments");
  const calls = startCalls(url());
  whole.database.fault = "full";
  expect(await reasonOf(apply(1500))).toBe("store-full");
  const waiting = await begin("payments", "payments-2", spare);
  await until(waiting.running.output, (text) => text.includes("joining the mesh fails, and is tried again"));
  const before = calls.count;
  await until(
    () => calls.count,
    (count) => count > before + 100,
  );
  for (const sidecar of sidecars.slice(0, 2)) await well(sidecar);
  whole.database.fault = null;
  // The same token: it was not used up meanwhile.
  await well(waiting);
  await until(
    () => calls.outcomes.get("200 payments-2") ?? 0,
    (count) => count > 0,
  );
  expect(await reasonOf(apply(1500))).toBe("none");
  await calls.stop();
  expect(calls.failures()).toEqual([]);
}, 60_000);

test("restarted with an older clock it keeps its nodes, vouches for nobody new and says so, until it is set", async () => {
  const calls = startCalls(url());
  const spare = await token("payments");
  const { port, operatorToken } = whole;
  await whole.coordinator.close();
  setBackMs = 2 * dayMs;
  whole = await startWhole({ path, document: await document(1500), clock, port, operatorToken });
  await Promise.all(sidecars.map(well));
  expect(whole.logged).toContainEqual(
    expect.objectContaining({
      level: "error",
      message: expect.stringContaining("the clock of this machine is behind"),
    }),
  );
  const readyz = await fetch(`${whole.url}/v1/readyz`, { tls: { rejectUnauthorized: false } });
  expect([readyz.status, await readyz.text()]).toEqual([200, expect.stringContaining("clock")]);
  const waiting = await begin("payments", "payments-3", spare);
  await until(waiting.running.output, (text) => text.includes("the coordinator's clock says"));
  expect(await reasonOf(apply(1200))).toBe("none");
  const before = calls.count;
  await until(
    () => calls.count,
    (count) => count > before + 100,
  );
  setBackMs = 0;
  await well(waiting);
  await until(
    () => calls.outcomes.get("200 payments-3") ?? 0,
    (count) => count > 0,
  );
  await calls.stop();
  expect(calls.failures()).toEqual([]);
}, 60_000);
