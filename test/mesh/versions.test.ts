/** Two versions of a service, each beside a sidecar of its own, and a caller that splits its calls between them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService, route, serviceConfig } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { statusOf } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { type App, startApp } from "./apps.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];

async function started(service: string, version?: string): Promise<StartedSidecar> {
  const app = await startApp(version === undefined ? service : `${service}-${version}`);
  apps.push(app);
  const sidecar = await startSidecar({
    service,
    app: app.port,
    coordinator: coordinator.url,
    token: await coordinator.token(service),
    ...(version === undefined ? {} : { version }),
  });
  sidecars.push(sidecar);
  return sidecar;
}

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  const to = [
    { service: "products", version: "v1", weight: 80 },
    { service: "products", version: "v2", weight: 20 },
  ];
  const split = route("products", {
    action: { kind: "forward", to, rewrite: { path: null, host: null } },
  });
  const caller = { routes: [split], service: serviceConfig("products"), others: [] };
  coordinator.rules.set("storefront", meshService("storefront"));
  coordinator.rules.set("products", meshService("products", { caller }));
  await coordinator.start();
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await Promise.all([coordinator.stop(), ...apps.map((app) => app.close())]);
});

test("calls are split by the version that instances registered with, and go on when one is killed", async () => {
  const [storefront, , second] = await Promise.all([
    started("storefront"),
    started("products", "v1"),
    started("products", "v2"),
  ]);
  await Promise.all(sidecars.map(ready));
  await Promise.all(sidecars.map(well));
  await until(
    () => [...(coordinator.instances.get("products")?.values() ?? [])].map(({ version }) => version).sort(),
    (versions) => versions.join() === "v1,v2",
  );
  const client = await RawClient.open(storefront.outbound);
  const call = async () => {
    const answer = await client.exchange("GET /list HTTP/1.1\r\nHost: products.mesh\r\n\r\n");
    expect(statusOf(answer)).toBe(200);
    return answer.body.slice("products-".length, "products-v1".length);
  };
  const counted = async (times: number) => {
    const counts = { v1: 0, v2: 0 };
    for (let time = 0; time < times; time += 1) counts[(await call()) as "v1" | "v2"] += 1;
    return counts;
  };
  const { v2 } = await counted(400);
  // Four standard deviations of 400 draws with a chance of a fifth.
  expect(Math.abs(v2 - 80)).toBeLessThan(32);
  process.kill(second.running.pid, "SIGKILL");
  await second.running.ended;
  expect(await counted(50)).toEqual({ v1: 50, v2: 0 });
  client.close();
}, 60_000);
