/** A node that stops while its callers have not heard of it: what they get, and how long that takes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../free-ports.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { refused } from "../node/test-node.ts";
import { until } from "../program.ts";
import { type App, startApp } from "./apps.ts";
import { type Calls, startCalls } from "./calls.ts";
import { ready, type StartedSidecar, startSidecar, well } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
let storefront: StartedSidecar;
const apps: App[] = [];
const sidecars: StartedSidecar[] = [];

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  // No filter sends anything twice.
  for (const name of ["storefront", "payments", "orders"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
  [storefront] = await Promise.all([begin("storefront"), begin("payments", "payments-1")]);
  await Promise.all(sidecars.map(ready));
  await Promise.all(sidecars.map(well));
});

afterAll(async () => {
  await Promise.all(sidecars.map(({ running }) => running.stop()));
  await Promise.all(apps.map((app) => app.close()));
  await coordinator?.stop();
});

async function begin(service: string, name = service, port?: number): Promise<StartedSidecar> {
  const app = port === undefined ? await startApp(name) : null;
  if (app !== null) apps.push(app);
  const upstreams = service === "storefront" ? ["payments", "orders"] : [];
  const wish = { service, app: port ?? app!.port, upstreams, coordinator: coordinator.url };
  const sidecar = await startSidecar({ ...wish, token: await coordinator.token(service) });
  sidecars.push(sidecar);
  return sidecar;
}

const post = { method: "POST", body: "x".repeat(1024) };

/** A second instance of payments, and callers that are answered by it. */
async function called(name: string, begun = begin("payments", name)) {
  const second = await begun;
  await well(second);
  const url = `http://${storefront.upstreams.payments}/charge`;
  const [gets, posts] = [startCalls(url, 8), startCalls(url, 4, post)];
  const answered = (calls: Calls) => calls.outcomes.get(`200 ${name}`) ?? 0;
  await until(
    () => Math.min(answered(gets), answered(posts)),
    (count) => count > 20,
  );
  const stop = async () => {
    const [gotAfter, postedAfter] = [gets.count, posts.count];
    await until(
      () => Math.min(gets.count - gotAfter, posts.count - postedAfter),
      (count) => count > 50,
    );
    await Promise.all([gets.stop(), posts.stop()]);
  };
  return { second, gets, posts, answered: () => answered(gets) + answered(posts), stop };
}

/** All but those that were written in the moment in which their connection was closed: nobody knows whether they were read. */
function avoidable(failures: readonly string[]): readonly string[] {
  return failures.filter((failure) => !failure.startsWith("502 upstream-reset"));
}

test("a node serves those who have not heard, as long as a slow coordinator takes, and fails none", async () => {
  const { second, gets, posts, answered, stop } = await called("payments-2");
  const [said, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  coordinator.delay = async ({ instances }) => {
    if (instances[0]?.state !== "draining") return;
    said.resolve();
    await goOn.promise;
  };
  const ended = second.running.stop();
  await said.promise;
  const before = answered();
  await until(answered, (count) => count > before + 5);
  goOn.resolve();
  expect(await ended).toBe(0);
  await stop();
  expect([gets.failures(), posts.failures()]).toEqual([[], []]);
});

/** An instance whose app is its command, and ends at once when it is asked to. */
async function beginExec(name: string): Promise<StartedSidecar> {
  const app = await freePort();
  const code = `
    Bun.serve({ hostname: "127.0.0.1", port: ${app}, fetch: () => new Response("${name} answers") });
    process.on("SIGTERM", () => process.exit(7));
  `;
  const token = await coordinator.token("payments");
  const command = [process.execPath, "-e", code];
  const sidecar = await startSidecar({
    ...{ service: "payments", app, command, token },
    coordinator: coordinator.url,
  });
  sidecars.push(sidecar);
  return sidecar;
}

test("an app is there as long as callers come who were slow to hear", async () => {
  const { second, gets, posts, stop } = await called("payments-5", beginExec("payments-5"));
  const hearing = Promise.withResolvers<void>();
  coordinator.silence = hearing.promise;
  const ended = second.running.stop();
  await until(second.running.output, (text) => text.includes("draining"));
  // Longer than any caller should need.
  await sleep(800);
  hearing.resolve();
  coordinator.silence = Promise.resolve();
  expect(await ended).toBe(7);
  await stop();
  expect([gets.failures(), posts.failures()]).toEqual([[], []]);
});

for (const [how, name] of [
  ["does not answer", "payments-3"],
  ["is gone", "payments-4"],
] as const) {
  test(`a node ends in its time while its coordinator ${how}, and callers find another`, async () => {
    const { second, gets, posts, stop } = await called(name);
    const { port } = coordinator;
    const goOn = Promise.withResolvers<void>();
    if (how === "is gone") await coordinator.stop();
    else coordinator.delay = () => goOn.promise;
    const startedAtMs = performance.now();
    expect(await second.running.stop()).toBe(0);
    // Its requests have 30 s; of waiting for a coordinator and for callers who do not hear, it may do a few.
    expect(performance.now() - startedAtMs).toBeLessThan(20_000);
    await stop();
    expect([gets.failures(), avoidable(posts.failures())]).toEqual([[], []]);
    goOn.resolve();
    coordinator.delay = async () => {};
    if (how === "is gone") await coordinator.start(port);
    await well(storefront);
  });
}

test("an app calls others by its node until it has answered those who called it", async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let outbound = 0;
  const server = createServer(async (request, response) => {
    if (request.url !== "/nested") return void response.end("orders");
    begun.resolve();
    await goOn.promise;
    response.end(`orders, after ${await callPayments()}`);
  });
  const callPayments = () =>
    fetch(`http://127.0.0.1:${outbound}/`, { headers: { host: "payments.mesh" }, keepalive: false }).then(
      (answer) => answer.text(),
      (error: Error) => error.message,
    );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const orders = await begin("orders", "orders", (server.address() as AddressInfo).port);
  outbound = orders.outbound;
  await well(orders);
  // A service that it never called before it would not learn of any more.
  await until(callPayments, (text) => text.startsWith("payments-1"));
  const url = `http://${storefront.upstreams.orders}`;
  await until(
    () => fetch(url).then(({ status }) => status),
    (status) => status === 200,
  );
  const answer = fetch(`${url}/nested`).then(async (response) => [response.status, await response.text()]);
  await begun.promise;
  const ended = orders.running.stop();
  await refused(orders.inbound);
  goOn.resolve();
  expect(await answer).toEqual([200, "orders, after payments-1 GET /"]);
  expect(await ended).toBe(0);
  server.close();
  server.closeAllConnections();
});
