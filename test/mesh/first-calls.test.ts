/** An app that calls services which nobody told its sidecar of. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { statusOf, values } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { type App, startApp } from "./apps.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let storefrontApp: App;
let paymentsApp: App;
let storefront: StartedSidecar;
let payments: StartedSidecar;

async function sidecar(service: string, app: App, more: { readonly state?: string } = {}) {
  const token = more.state === undefined ? { token: await coordinator.token(service) } : {};
  return startSidecar({ coordinator: coordinator.url, service, app: app.port, ...token, ...more });
}

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const name of ["storefront", "payments"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
  [storefrontApp, paymentsApp] = await Promise.all([startApp("storefront"), startApp("payments")]);
  [storefront, payments] = await Promise.all([
    sidecar("storefront", storefrontApp),
    sidecar("payments", paymentsApp),
  ]);
  await Promise.all([ready(storefront), ready(payments)]);
  await Promise.all([well(storefront), well(payments)]);
});

afterAll(async () => {
  await Promise.all([storefront?.running.stop(), payments?.running.stop()]);
  await Promise.all([coordinator?.stop(), storefrontApp?.close(), paymentsApp?.close()]);
});

async function call(service: string) {
  const url = `http://127.0.0.1:${storefront.outbound}/charge`;
  const response = await fetch(url, { headers: { host: `${service}.mesh` }, keepalive: false });
  const reason = response.headers.get("x-clearway-reason");
  return { status: response.status, reason, text: await response.text() };
}

test("the first call to a service is served, over mTLS, and its node subscribes to it", async () => {
  expect(await call("payments")).toEqual({ status: 200, reason: null, text: "payments GET /charge" });
  const feeds = coordinator.bodies.filter(({ path }) => path === "/v1/feed");
  const subscribed = feeds.map(({ body }) => (body as { services: readonly string[] }).services.join());
  expect(subscribed).toContain("storefront");
  expect(subscribed).toContain("payments,storefront");
});

test("a service that the mesh document has not is said so, and the others go on", async () => {
  expect(await call("paymentz")).toMatchObject({ status: 502, reason: "no-such-service" });
  expect(await call("payments")).toMatchObject({ status: 200 });
});

test("a service that calls itself, through both sides of its own node, is no loop", async () => {
  expect(await call("storefront")).toMatchObject({ status: 200, text: "storefront GET /charge" });
  const [request] = storefrontApp.requests.slice(-1);
  expect(request?.headers.via).toMatch(/^1\.1 clearway-[0-9a-f]+-outbound, 1\.1 clearway-[0-9a-f]+-inbound$/);
});

test("hosts outside are reached through the same port, by tunnels and by whole URLs", async () => {
  const server = createServer((request, response) => response.end(`outside ${request.url}`));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const client = await RawClient.open(storefront.outbound);
    const url = `http://localhost:${port}/a`;
    expect((await client.exchange(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`)).body).toBe("outside /a");
    client.send(`CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await client.take("HTTP/1.1 200 OK\r\n\r\n".length);
    expect((await client.exchange("GET /b HTTP/1.1\r\nHost: x\r\n\r\n")).body).toBe("outside /b");
    client.close();
    const inbound = await RawClient.open(storefront.outbound);
    const own = `127.0.0.1:${storefront.outbound}`;
    const answer = await inbound.exchange(`CONNECT ${own} HTTP/1.1\r\nHost: ${own}\r\n\r\n`, "CONNECT");
    expect([statusOf(answer), ...values(answer, "x-clearway-reason")]).toEqual([508, "loop-detected"]);
    inbound.close();
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test("what an app used once is known after a restart, with no coordinator", async () => {
  await storefront.running.stop();
  await coordinator.stop();
  storefront = await sidecar("storefront", storefrontApp, { state: storefront.state });
  await ready(storefront);
  const answer = await until(
    () => call("payments"),
    ({ status }) => status === 200,
  );
  expect(answer.text).toBe("payments GET /charge");
  // It cannot know.
  expect(await call("orders")).toMatchObject({ status: 503, reason: "service-unknown" });
});
