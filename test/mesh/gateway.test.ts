/** A gateway from a config file with a `mesh` block, in front of a service of the mesh. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../free-ports.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { filterEntry, meshService, route } from "../node/mesh/nouns.ts";
import { answers, type Running, startClearway, until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let app: App;
let payments: StartedSidecar;
let gateway: Running;
let port: number;
let admin: number;
const folder = mkdtempSync(join(tmpdir(), "clearway-gateway-"));
const file = join(folder, "clearway.yaml");

function config(more = ""): string {
  return `
admin: 127.0.0.1:${admin}
mesh: { coordinator: "${coordinator.url}", service: edge, tokenFile: join-token }
listeners:
  web:
    bind: 127.0.0.1:${port}
    routes:
      - match: { path: /api/* }
        to: payments
      - match: { path: /local }
        respond: { body: "from the file" }
services:
  payments: {}
${more}`;
}

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const name of ["edge", "payments"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
  app = await startApp("payments");
  payments = await startSidecar({
    ...{ service: "payments", app: app.port, coordinator: coordinator.url },
    token: await coordinator.token("payments"),
  });
  [port = 0, admin = 0] = await freePorts(2);
  writeFileSync(join(folder, "join-token"), `${await coordinator.token("edge")}\n`);
  writeFileSync(file, config());
  gateway = startClearway(["run", "-c", file]);
  await answers(`http://127.0.0.1:${admin}/readyz`, gateway);
  await ready(payments);
  await well(payments);
});

afterAll(async () => {
  await Promise.all([gateway?.stop(), payments?.running.stop()]);
  await app?.close();
  await coordinator?.stop();
});

async function get(path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false });
  return { status: response.status, text: await response.text(), stamp: response.headers.get("x-stamp") };
}

function until200(path: string) {
  return until(
    () => get(path),
    ({ status }) => status === 200,
  );
}

describe("a gateway in a mesh", () => {
  test("calls a service of the mesh as itself, beside what its file says", async () => {
    expect((await until200("/api/charge")).text).toBe("payments GET /api/charge");
    expect((await get("/local")).text).toBe("from the file");
    expect(gateway.output()).toContain("identity spiffe://store.example/edge; its certificate ends at ");
    const lease = coordinator.leases.flatMap(({ instances }) => instances);
    expect(lease.map(({ service }) => service)).not.toContain("edge");
  });

  test("what the mesh document says of the service holds at the gateway too, at once", async () => {
    await until200("/api/charge");
    const stamp = filterEntry("headers", { response: { set: { "x-stamp": "document" } } });
    coordinator.rules.set("payments", {
      ...meshService("payments"),
      caller: { ...meshService("payments").caller, routes: [route("payments", { filters: [stamp] })] },
    });
    coordinator.version++;
    coordinator.publish();
    const answer = await until(
      () => get("/api/charge"),
      (seen) => seen.stamp !== null,
    );
    expect(answer).toEqual({ status: 200, text: "payments GET /api/charge", stamp: "document" });
    expect((await get("/local")).stamp).toBeNull();
  });

  test("a save of its file is live as ever; another mesh is a problem, and nothing changes", async () => {
    await until200("/api/charge");
    writeFileSync(file, config().replace("from the file", "saved"));
    await until(
      () => get("/local"),
      ({ text }) => text === "saved",
    );
    writeFileSync(
      file,
      config().replace("service: edge", "service: other").replace("from the file", "never"),
    );
    await until(gateway.output, (text) => text.includes("cannot change `mesh` while the node runs"));
    expect((await get("/local")).text).toBe("saved");
    expect((await get("/api/charge")).status).toBe(200);
    writeFileSync(file, config());
    await until(
      () => get("/local"),
      ({ text }) => text === "from the file",
    );
  });

  test("a second one with its state folder does not start, and says why", async () => {
    const second = startClearway(["run", "-c", file]);
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain("another node uses the state folder");
    expect(second.output()).toContain("a folder of its own with mesh.state");
  });
});
