/** A sidecar's life: start, restart, renewal, and a coordinator that is not always there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { startCalls } from "./calls.ts";
import { ready, type SidecarWish, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const name of ["storefront", "payments"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await Promise.all(apps.map((app) => app.close()));
  await coordinator.stop();
});

async function newApp(name: string): Promise<App> {
  const app = await startApp(name);
  apps.push(app);
  return app;
}

async function begin(wish: Partial<SidecarWish> & { readonly service: string }): Promise<StartedSidecar> {
  const app = wish.app ?? (await newApp(wish.service)).port;
  const sidecar = await startSidecar({ coordinator: coordinator.url, ...wish, app });
  sidecars.push(sidecar);
  return sidecar;
}

async function pair() {
  const [storefront, payments] = await Promise.all([
    begin({
      service: "storefront",
      token: await coordinator.token("storefront"),
      upstreams: ["payments"],
    }),
    begin({ service: "payments", token: await coordinator.token("payments") }),
  ]);
  await Promise.all([ready(storefront), ready(payments)]);
  await Promise.all([well(storefront), well(payments)]);
  const url = `http://${storefront.upstreams.payments}/charge`;
  await until(
    () => fetch(url).then(({ status }) => status),
    (status) => status === 200,
  );
  return { storefront, payments, url };
}

async function readyz({ admin }: StartedSidecar): Promise<string> {
  return (await fetch(`http://127.0.0.1:${admin}/readyz`)).text();
}

describe("a sidecar", () => {
  test("renews its certificate under load, live, with a new key: no call fails", async () => {
    coordinator.lifeMs = 8_000;
    const { storefront, payments, url } = await pair();
    const certificate = () => readFileSync(join(payments.state, "certificate.pem"), "utf8");
    const first = certificate();
    const calls = startCalls(url);
    const seen = new Set<string>();
    await until(
      () => seen.add(certificate()).size,
      (count) => count > 2,
    );
    expect(seen).toContain(first);
    const after = calls.count;
    await until(
      () => calls.count,
      (count) => count > after + 100,
    );
    await calls.stop();
    coordinator.lifeMs = 3_600_000;
    expect(calls.failures()).toEqual([]);
    expect(await readyz(storefront)).toBe("ready\n");
    const renewals = coordinator.bodies.filter(({ path }) => path === "/v1/certificate");
    expect(new Set(renewals.map(({ identity }) => identity))).toEqual(
      new Set(["spiffe://store.example/storefront", "spiffe://store.example/payments"]),
    );
  });

  test("keeps its folder from other users, and starts again from it without a token", async () => {
    const { payments } = await pair();
    expect(statSync(payments.state).mode & 0o777).toBe(0o700);
    expect(statSync(join(payments.state, "credentials.json")).mode & 0o777).toBe(0o600);
    expect(await payments.running.stop()).toBe(0);
    const joins = () => coordinator.bodies.filter(({ path }) => path === "/v1/join").length;
    const before = joins();
    const again = await begin({ service: "payments", state: payments.state });
    await ready(again);
    await well(again);
    expect(joins()).toBe(before);
    const registered = coordinator.leases.filter(({ instances }) => instances.length > 0);
    expect(registered.at(-1)?.node).toBe(
      registered.find(({ node }) => node === registered.at(-1)?.node)!.node,
    );
  });

  test("goes on while the coordinator is away, says so, and after a restart serves what it knew last", async () => {
    const { storefront, payments, url } = await pair();
    await until(
      () => existsSync(join(storefront.state, "mesh.json")),
      (there) => there,
    );
    // Long enough for what changed last to be kept.
    const kept = () => readFileSync(join(storefront.state, "mesh.json"), "utf8");
    await until(kept, (text) => text.includes(`"port":${payments.inbound}`));
    const { port } = coordinator;
    await coordinator.stop();
    const calls = startCalls(url);
    await until(
      () => readyz(storefront),
      (text) => text.includes("warning: the feed of the mesh fails for"),
    );
    expect(await storefront.running.stop()).toBe(0);
    await calls.stop();
    const again = await begin({ service: "storefront", state: storefront.state, upstreams: ["payments"] });
    await ready(again);
    const answer = await until(
      () => fetch(`http://${again.upstreams.payments}/charge`).then((response) => response.text()),
      (text) => text.startsWith("payments"),
    );
    expect(answer).toBe("payments GET /charge");
    await coordinator.start(port);
    await well(again);
    await well(payments);
  });

  test("names an address under which others reach it, also when it listens everywhere", async () => {
    const token = await coordinator.token("payments");
    const [everywhere, elsewhere] = [await freePort(), await freePort()];
    const registered = (port: number) =>
      coordinator.leases
        .flatMap(({ instances }) => instances)
        .find(({ address }) => "port" in address && address.port === port)?.address;
    await begin({ service: "payments", token, more: ["--inbound", `0.0.0.0:${everywhere}`] });
    await begin({ service: "payments", token, more: ["--advertise", `payments.internal:${elsewhere}`] });
    const local = await until(
      () => registered(everywhere),
      (address) => address !== undefined,
    );
    // As the coordinator is reached: on this machine.
    expect(local).toEqual({ host: "127.0.0.1", port: everywhere });
    const told = await until(
      () => registered(elsewhere),
      (address) => address !== undefined,
    );
    expect(told).toEqual({ host: "payments.internal", port: elsewhere });
  });

  test("waits for a coordinator that is not there yet, and for an app", async () => {
    const later = await HttpsCoordinator.make();
    later.rules.set("payments", meshService("payments"));
    const port = await freePort();
    const appPort = await freePort();
    const token = await later.token("payments");
    const sidecar = await begin({
      service: "payments",
      token,
      app: appPort,
      coordinator: `127.0.0.1:${port}`,
    });
    await until(sidecar.running.output, (text) =>
      text.includes("joining the mesh fails, and is tried again"),
    );
    await later.start(port);
    await ready(sidecar);
    expect(await readyz(sidecar)).toBe(
      `ready\nwarning: the app at 127.0.0.1:${appPort} has not answered yet\n`,
    );
    expect(later.leases.flatMap(({ instances }) => instances)).toEqual([]);
    apps.push(await startApp("payments", appPort));
    await well(sidecar);
    await until(
      () => later.leases.at(-1)?.instances ?? [],
      ([only]) => only?.state === "healthy",
    );
    expect(await sidecar.running.stop()).toBe(0);
    expect(later.leases.at(-1)?.instances).toEqual([]);
    await later.stop();
  });
});
