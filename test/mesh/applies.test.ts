/** One mesh document, changed while callers call: a real coordinator, real sidecars, and the operator's verbs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import type { ApplyAnswer } from "../../src/mesh.ts";
import { documentOf } from "../config/mesh/loading.ts";
import { freePort } from "../free-ports.ts";
import { type Running, startClearway, until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-applies-"));
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];
let coordinator: Running;
let gateway: Running;
let url: string;
let payments: string;

interface Words {
  readonly allow?: string;
  readonly split?: string;
  readonly timeoutMs?: number;
  readonly more?: string;
}

function services({
  allow = "[{ from: storefront }]",
  split = "{ v1: 1 }",
  timeoutMs = 5000,
  more = "",
}: Words = {}) {
  return `  gateway: {}
  storefront: { allow: [{ from: gateway }] }
  payments:
    allow: ${allow}
    split: ${split}
    timeout: ${timeoutMs}ms
    retry: { attempts: 3 }
    ${more}
`;
}

function write(words?: Words): void {
  writeFileSync(join(folder, "mesh.yaml"), `trustDomain: store.example\nservices:\n${services(words)}`);
}

async function obey(...args: string[]) {
  const verb = startClearway([...args, "--coordinator", url], { folder });
  return { code: await verb.ended, output: verb.output() };
}

const status = async () => (await fetch(payments)).status;

async function begin(service: string, version: string, upstreams: readonly string[] = []) {
  const app = await startApp(`${service}-${version}`);
  apps.push(app);
  const { output } = await obey("token", "create", "--service", service);
  const token = output.trim().split("\n").at(-1)!;
  const sidecar = await startSidecar({ service, app: app.port, coordinator: url, token, upstreams, version });
  sidecars.push(sidecar);
  return sidecar;
}

/** It has no instance: what holds for its requests is known all the same. */
async function startGateway(): Promise<void> {
  const { output } = await obey("token", "create", "--service", "gateway");
  writeFileSync(join(folder, "join.token"), output.trim().split("\n").at(-1)!);
  const port = await freePort();
  const config = {
    admin: "127.0.0.1:0",
    listeners: { web: { bind: `127.0.0.1:${port}`, routes: [{ to: "storefront" }] } },
    services: { storefront: {} },
    mesh: { coordinator: url, service: "gateway", tokenFile: "join.token" },
  };
  writeFileSync(join(folder, "gateway.yaml"), JSON.stringify(config));
  gateway = startClearway(["run", "-c", "gateway.yaml"], { folder });
  await until(
    () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        ({ status }) => status,
        () => 0,
      ),
    (code) => code === 200,
  );
}

beforeAll(async () => {
  write();
  const bind = `127.0.0.1:${await freePort()}`;
  url = `https://${bind}`;
  coordinator = startClearway(["coordinator", "-c", "mesh.yaml", "--bind", bind], { folder });
  await until(
    async () => coordinator.output(),
    (text) => text.includes("next, for each service"),
  );
  const [storefront] = await Promise.all([
    begin("storefront", "v1", ["payments"]),
    begin("payments", "v1"),
    begin("payments", "v2"),
  ]);
  await startGateway();
  await Promise.all(sidecars.map(ready));
  await Promise.all(sidecars.map(well));
  payments = `http://${storefront.upstreams.payments}/charge`;
  await until(status, (code) => code === 200);
}, 60_000);

afterAll(async () => {
  await Promise.all([...sidecars.map(({ running }) => running.stop()), gateway?.stop()]);
  await coordinator?.stop();
  await Promise.all(apps.map((app) => app.close()));
  rmSync(folder, { recursive: true });
});

test("apply prints what it changes and on how many nodes it is live, and callers notice", async () => {
  expect(await status()).toBe(200);
  write({ allow: "[]" });
  const { code, output } = await obey("apply", "-f", "mesh.yaml");
  expect(output).toContain("  payments\n  - allow: { from: storefront }\nversion 2 holds: 1 change\n");
  expect([code, output]).toEqual([0, expect.stringContaining("live on all 4 connected nodes\n")]);
  const denied = await fetch(payments);
  expect([denied.status, denied.headers.get("x-clearway-reason")]).toEqual([403, "policy-denied"]);
  expect((await obey("rollback", "1")).output).toContain("live on all 4 connected nodes\n");
  expect(await status()).toBe(200);
}, 30_000);

test("get lists the nodes with the version that they have, and who has which certificate", async () => {
  const nodes = await obey("get", "nodes", "payments", "-o", "json");
  const { nodes: listed } = JSON.parse(nodes.output) as { nodes: { version: number }[] };
  expect(listed.map(({ version }) => version)).toEqual([3, 3]);
  const soon = await obey("get", "identities", "payments", "--expiring", "25h");
  expect(soon.code).toBe(1);
  expect(soon.output.match(/spiffe:\/\/store\.example\/payments +\S+ .* in use$/gm)).toHaveLength(2);
  expect((await obey("get", "identities", "--expiring", "1h")).code).toBe(0);
}, 30_000);

/** What each of the hundred changes: where requests are sent, who may send them, what they run through. */
function change(index: number): Words {
  const split = index % 2 === 0 ? "{ v1: 1 }" : "{ v2: 1 }";
  const allow = index % 3 === 0 ? "[{ from: storefront }]" : `[{ from: [storefront, gateway], path: /* }]`;
  const stamp = `headers: { response: { set: { x-apply: "${index}" } } }`;
  const more = index % 5 === 0 ? `inbound: [${stamp}]` : `outbound: [request-id, ${stamp}]`;
  return { split, allow, more, timeoutMs: 5000 + index };
}

test("of 100 applies of splits, policies and filters no request under load notices but what they say", async () => {
  const token = readFileSync(join(folder, ".clearway/operator.token"), "utf8").trim();
  const operator = new OperatorClient({ clock: systemClock, fetch: secureFetch }, { urls: [url], token });
  const calls = startCalls(payments);
  for (let index = 1; index <= 100; index++) {
    if (index % 20 === 0) {
      write(change(index));
      const { code, output } = await obey("apply", "-f", "mesh.yaml");
      expect([code, output]).toEqual([0, expect.stringContaining("live on all 4 connected nodes\n")]);
      const answer = await fetch(payments);
      expect([answer.headers.get("x-apply"), await answer.text()]).toEqual([
        String(index),
        expect.stringContaining("payments-v1"),
      ]);
      continue;
    }
    const { files, config, resolved } = await documentOf(services(change(index)));
    const body = { files, checked: { config, resolved }, base: null };
    expect((await operator.put<ApplyAnswer>("/v1/document", body)).difference.changes).not.toEqual([]);
  }
  const before = calls.count;
  await until(
    async () => calls.count,
    (count) => count > before + 100,
  );
  await calls.stop();
  expect(calls.failures()).toEqual([]);
  expect([...calls.outcomes.keys()].toSorted()).toEqual(["200 payments-v1", "200 payments-v2"]);
}, 60_000);
