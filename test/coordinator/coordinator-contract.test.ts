/** The coordinator and those who ask it, both real: what one says, the other understands. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { requestCertificate } from "../../src/certificate-request.ts";
import { CoordinatorFault } from "../../src/coordinator-client/coordinator-fault.ts";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import type { MeshConfig } from "../../src/mesh.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { FeedReader } from "../../src/node/mesh/feed-reader.ts";
import { LeaseKeeper } from "../../src/node/mesh/lease-keeper.ts";
import { MeshView } from "../../src/node/mesh/mesh-view.ts";
import type { OwnCredentials } from "../../src/node/mesh/node-state.ts";
import { Recorders } from "../../src/testing/recorders.ts";
import { until } from "../program.ts";
import { instance, meshService } from "./mesh-documents.ts";
import {
  type OpenedCoordinator,
  openCoordinator,
  type ServedCoordinator,
  served,
  trustDomain,
} from "./running-coordinator.ts";

const parts = { clock: systemClock, fetch: secureFetch };
const { log } = new Recorders(() => {});

let opened: OpenedCoordinator;
let serving: ServedCoordinator;
let operators: OperatorClient;
const closing: (() => void)[] = [];

beforeEach(async () => {
  opened = await openCoordinator(systemClock);
  serving = await served(opened);
  const token = await opened.tokens.createOperator("ops");
  operators = new OperatorClient(parts, { urls: [serving.url], token });
});

afterEach(async () => {
  for (const close of closing.splice(0)) close();
  await stop();
});

async function stop(): Promise<void> {
  await opened.coordinator.close();
  await serving.listener.drain(100);
}

function apply(...names: string[]): Promise<unknown> {
  const services = names.map((name) => meshService(name));
  const config: MeshConfig = { trustDomain, egress: "allow", services, plugins: [] };
  const files = [{ name: "mesh.yaml", text: "" }];
  return operators.put("/v1/document", { files, checked: { config, resolved: {} }, base: null });
}

async function join(service: string): Promise<{ client: CoordinatorClient; own: OwnCredentials }> {
  const { token } = await operators.post<{ token: string }>("/v1/tokens", { service });
  const { key, request } = await requestCertificate();
  const client = new CoordinatorClient(parts, [serving.url]);
  const credentials = await client.join({ token, request });
  return { client, own: { ...credentials, key, obtainedEpochMs: Date.now() } };
}

/** A node that listens to this, and registers one instance of its service. */
async function startNode(
  service: string,
  ...uses: string[]
): Promise<{ view: MeshView; own: OwnCredentials; leases: LeaseKeeper }> {
  const { client, own } = await join(service);
  const view = new MeshView();
  const common = { clock: systemClock, random: systemRandom(), log, node: `${service}-node` };
  const leases = new LeaseKeeper({ ...common, lease: (request) => client.lease(request, own) });
  const feed = new FeedReader({
    ...common,
    view,
    open: (request) => client.feed(request, own),
    changed() {},
  });
  closing.push(
    () => feed.close(),
    () => leases.close(),
  );
  feed.follow([service, ...uses]);
  expect(await leases.put([instance(`${service}-1`, service)])).toBe("told");
  return { view, own, leases };
}

const idsOf = (view: MeshView, service: string) =>
  view
    .service(service)
    ?.instances?.list.map(({ id }) => id)
    .join() ?? "nothing";

async function reasonOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CoordinatorFault);
  return (error as CoordinatorFault).reason;
}

test("nodes join, register, and know each other; a removed one is known to nobody and told why", async () => {
  await apply("storefront", "payments");
  const storefront = await startNode("storefront", "payments");
  const payments = await startNode("payments");
  await until(
    () => idsOf(storefront.view, "payments"),
    (ids) => ids === "payments-1",
  );
  expect(storefront.view.service("payments")?.rules?.service?.name).toBe("payments");
  await apply("storefront");
  await until(
    () => idsOf(storefront.view, "payments"),
    (ids) => ids === "",
  );
  expect(storefront.view.knowledge?.mesh.removed).toEqual([`spiffe://${trustDomain}/payments`]);
  expect(storefront.view.knowledge?.version).toBe(2);
  const client = new CoordinatorClient(parts, [serving.url]);
  expect(await reasonOf(client.lease({ node: "n", instances: [] }, payments.own))).toBe("identity-removed");
  expect(await reasonOf(client.renew({ request: "" }, payments.own))).toBe("identity-removed");
});

test("a coordinator that starts again with its store is what its nodes go on with, and they are sent nothing twice", async () => {
  await apply("storefront", "payments");
  const storefront = await startNode("storefront", "payments");
  const payments = await startNode("payments");
  // One that is unwell is so for the next coordinator too.
  const unwell = instance("payments-1", "payments", { state: "unhealthy" });
  expect(await payments.leases.put([unwell])).toBe("told");
  await until(
    () => storefront.view.service("payments")?.instances?.list.map(({ state }) => state) ?? [],
    (states) => states.join() === "unhealthy",
  );
  const before = storefront.view.knowledge?.services;
  await stop();
  expect(idsOf(storefront.view, "payments")).toBe("payments-1");
  opened = await openCoordinator(systemClock, opened.store);
  serving = await served(opened, { wantedPort: serving.port });
  const metrics = () =>
    fetch(`${serving.url}/metrics`, { tls: { ca: opened.authority.roots } }).then((r) => r.text());
  const text = await until(metrics, (now) => now.includes("clearway_coordinator_subscribers 2\n"));
  expect(text).toContain("clearway_coordinator_instances 2\n");
  expect(storefront.view.knowledge?.services).toEqual(before!);
  const sent = Number(/feed_bytes_total (\d+)/.exec(text)?.[1]);
  // To each of the two: who vouches, and the version.
  expect(sent).toBeLessThan(2 * (opened.authority.roots.length + 400));
});

test("operators are told what there is, and why not", async () => {
  await apply("payments");
  await startNode("payments");
  const { nodes } = await operators.get<{ nodes: unknown[] }>("/v1/nodes");
  expect(nodes).toMatchObject([{ service: "payments", node: "payments-node", instances: 1 }]);
  const { identities } = await operators.get<{ identities: unknown[] }>("/v1/identities");
  expect(identities).toMatchObject([{ identity: `spiffe://${trustDomain}/payments`, removed: false }]);
  expect(await reasonOf(operators.post("/v1/tokens", { service: "no service" }))).toBe("body-invalid");
  expect(await reasonOf(operators.get("/v1/nothing"))).toBe("no-such-path");
});
