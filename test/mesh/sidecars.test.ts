import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let storefrontApp: App;
let paymentsApp: App;
let storefront: StartedSidecar;
let payments: StartedSidecar;

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const name of ["storefront", "payments"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
  [storefrontApp, paymentsApp] = await Promise.all([startApp("storefront"), startApp("payments")]);
  const common = { coordinator: coordinator.url };
  [storefront, payments] = await Promise.all([
    startSidecar({
      ...common,
      service: "storefront",
      app: storefrontApp.port,
      token: await coordinator.token("storefront"),
      upstreams: ["payments"],
    }),
    startSidecar({
      ...common,
      service: "payments",
      app: paymentsApp.port,
      token: await coordinator.token("payments"),
    }),
  ]);
  await Promise.all([ready(storefront), ready(payments)]);
  await Promise.all([well(storefront), well(payments)]);
});

afterAll(async () => {
  await Promise.all([storefront?.running.stop(), payments?.running.stop()]);
  await Promise.all([coordinator?.stop(), storefrontApp?.close(), paymentsApp?.close()]);
});

async function get(url: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { ...init, keepalive: false });
  return { status: response.status, text: await response.text() };
}

describe("two sidecars", () => {
  test("a call goes from one app's port through both nodes to the other app", async () => {
    const url = `http://${storefront.upstreams.payments}/charge`;
    const answer = await until(
      () => get(url),
      ({ status }) => status !== 503,
    );
    expect(answer).toEqual({ status: 200, text: "payments GET /charge" });
  });

  test("it says what it listens on, who it is, and where admin is", () => {
    const text = payments.running.output();
    expect(text).toContain("serves the sidecar of payments");
    expect(text).toContain(`listener inbound on https://127.0.0.1:${payments.inbound}`);
    expect(text).toContain(`listener outbound on http://127.0.0.1:${payments.outbound}`);
    expect(text).toContain("identity spiffe://store.example/payments; its certificate ends at ");
    expect(text).toContain(`admin on http://127.0.0.1:${payments.admin}`);
  });
});
