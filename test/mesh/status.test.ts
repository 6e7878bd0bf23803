/** What a node in a mesh shows of its place there: `/metrics` and `/snapshot`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { instance, meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { ready, type StartedSidecar, startSidecar } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let storefront: StartedSidecar;

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const service of ["storefront", "payments"]) coordinator.rules.set(service, meshService(service));
  coordinator.version = 7;
  await coordinator.start();
  storefront = await startSidecar({
    ...{ service: "storefront", app: 9, coordinator: coordinator.url, upstreams: ["payments"] },
    token: await coordinator.token("storefront"),
  });
  await ready(storefront);
});

afterAll(async () => {
  await storefront.running.stop();
  await coordinator.stop();
});

const asked = async (path: string) => (await fetch(`http://127.0.0.1:${storefront.admin}${path}`)).text();
const metrics = () => asked("/metrics");
/** Of one sample. */
const value = (text: string, sample: string) =>
  Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${sample} `))
      ?.split(" ")[1],
  );

test("a node says what it knows of its mesh, and whether its coordinator is there", async () => {
  coordinator.register(instance("1"), instance("2"), instance("3", { state: "draining" }));
  const text = await until(
    metrics,
    (seen) => value(seen, 'clearway_mesh_instances{service="payments",state="healthy"}') === 2,
  );
  expect(value(text, 'clearway_mesh_instances{service="payments",state="draining"}')).toBe(1);
  expect(value(text, "clearway_mesh_feed_connected")).toBe(1);
  expect(value(text, "clearway_mesh_document_known_version")).toBe(7);
  const told = await until(metrics, (seen) => value(seen, "clearway_mesh_lease_renewed_seconds") > 0);
  expect(value(told, "clearway_mesh_document_version")).toBe(7);
  expect(value(told, "clearway_mesh_lease_renewed_seconds")).toBeGreaterThan(Date.now() / 1000 - 60);
  expect(value(told, "clearway_mesh_certificate_expiry_seconds")).toBeGreaterThan(Date.now() / 1000);
  const { mesh } = JSON.parse(await asked("/snapshot"));
  expect(mesh).toMatchObject({
    identity: "spiffe://store.example/storefront",
    coordinators: [coordinator.url],
    feed: "connected",
    document: { live: 7, known: 7 },
  });
  expect(Date.parse(mesh.certificateEnds) / 1000).toBeCloseTo(
    value(told, "clearway_mesh_certificate_expiry_seconds"),
    0,
  );
  expect(mesh.instances).toContainEqual({ service: "payments", healthy: 2, unhealthy: 0, draining: 1 });
  await coordinator.stop();
  await until(metrics, (seen) => value(seen, "clearway_mesh_feed_connected") === 0);
}, 55_000);
