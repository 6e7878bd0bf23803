/** A command with its sidecar around it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { freePort } from "../free-ports.ts";
import { HttpsCoordinator } from "../node/mesh/https-coordinator.ts";
import { meshService } from "../node/mesh/nouns.ts";
import { until } from "../program.ts";
import { startApp } from "./apps.ts";
import { ready, type StartedSidecar, startSidecar } from "./sidecars.ts";

let coordinator: HttpsCoordinator;
const started: StartedSidecar[] = [];

beforeAll(async () => {
  coordinator = await HttpsCoordinator.make();
  for (const name of ["storefront", "payments"]) coordinator.rules.set(name, meshService(name));
  await coordinator.start();
});

afterAll(async () => {
  await Promise.all(started.map(({ running }) => running.stop()));
  await coordinator.stop();
});

/** `code` runs in a process of its own. */
async function exec(code: string, wish: { readonly app?: number | "at PORT" } = {}) {
  const service = "payments";
  const app = wish.app === "at PORT" ? {} : { app: wish.app ?? 9 };
  const token = await coordinator.token(service);
  const command = [process.execPath, "-e", code];
  const one = await startSidecar({ service, ...app, token, command, coordinator: coordinator.url });
  started.push(one);
  return one;
}

function registered(sidecar: StartedSidecar) {
  return coordinator.leases
    .flatMap(({ instances }) => instances)
    .filter(({ address }) => "port" in address && address.port === sidecar.inbound);
}

/** Answers on the port after a while, slowly under /slow, and ends in order when it is asked to. */
const appCode = (port: number | "process.env.PORT") => `
  const server = Bun.serve({
    port: ${port}, hostname: "127.0.0.1",
    async fetch(request) {
      if (request.url.includes("slow")) { console.log("slow began"); await Bun.sleep(1500); }
      return new Response("payments");
    },
  });
  console.log("the app listens");
  process.on("SIGTERM", () => { console.log("the app ends"); process.exit(7); });
`;

describe("exec", () => {
  test("runs the command with the proxy in its environment, and exits with its code", async () => {
    const code = `
      const { HTTP_PROXY, http_proxy, NO_PROXY, NODE_USE_ENV_PROXY } = process.env;
      console.log(JSON.stringify({ HTTP_PROXY, http_proxy, NO_PROXY, NODE_USE_ENV_PROXY }));
      process.exit(3);
    `;
    const one = await exec(code);
    expect(await one.running.ended).toBe(3);
    const line = one.running
      .output()
      .split("\n")
      .find((text) => text.startsWith('{"HTTP_PROXY'))!;
    const proxy = `http://127.0.0.1:${one.outbound}`;
    const { NO_PROXY, ...rest } = JSON.parse(line);
    expect(rest).toEqual({ HTTP_PROXY: proxy, http_proxy: proxy, NODE_USE_ENV_PROXY: "1" });
    expect(NO_PROXY).toContain("127.0.0.1");
    // It never answered: nobody was sent there.
    expect(registered(one)).toEqual([]);
  });

  test("a command that is killed, and one that is not there, end as they do in a shell", async () => {
    const killed = await exec(`process.kill(process.pid, "SIGKILL");`);
    expect(await killed.running.ended).toBe(137);
    const token = await coordinator.token("payments");
    const missing = await startSidecar({
      ...{ service: "payments", app: 9, token, coordinator: coordinator.url },
      command: ["no-such-program"],
    });
    expect(await missing.running.ended).toBe(127);
    expect(missing.running.output()).toContain(
      "clearway: cannot run no-such-program: there is no such program",
    );
  });

  test("registers when the port answers; SIGTERM leaves the mesh, lets answers end, then asks the command", async () => {
    const port = await freePort();
    const payments = await exec(appCode(port), { app: port });
    const callerApp = await startApp("storefront");
    const storefront = await startSidecar({
      ...{ service: "storefront", app: callerApp.port, coordinator: coordinator.url },
      ...{ token: await coordinator.token("storefront"), upstreams: ["payments"] },
    });
    started.push(storefront);
    await ready(storefront);
    await until(
      () => registered(payments).at(-1)?.state,
      (state) => state === "healthy",
    );
    const url = `http://${storefront.upstreams.payments}`;
    await until(
      () => fetch(url).then(({ status }) => status),
      (status) => status === 200,
    );
    const slow = fetch(`${url}/slow`).then(async (response) => [response.status, await response.text()]);
    await until(payments.running.output, (text) => text.includes("slow began"));
    expect(await payments.running.stop()).toBe(7);
    expect(await slow).toEqual([200, "payments"]);
    expect(payments.running.output()).toContain("the app ends");
    expect(registered(payments).at(-1)?.state).toBe("draining");
    await callerApp.close();
  });

  test("a command that nobody said an address of is told by PORT where to listen", async () => {
    const one = await exec(appCode("process.env.PORT"), { app: "at PORT" });
    await until(
      () => registered(one).at(-1)?.state,
      (state) => state === "healthy",
    );
    expect(await one.running.stop()).toBe(7);
  });

  test("a node that is killed takes its command with it", async () => {
    const port = await freePort();
    const one = await exec(appCode(port), { app: port });
    await until(
      () => registered(one).at(-1)?.state,
      (state) => state === "healthy",
    );
    process.kill(one.running.pid, "SIGKILL");
    // Until nobody holds its output any more.
    await one.running.ended;
    expect(one.running.output()).toContain("the app ends");
  });

  test("a command that ends by itself takes its node with it", async () => {
    const port = await freePort();
    const code = `${appCode(port)} setTimeout(() => process.exit(5), 2000);`;
    const one = await exec(code, { app: port });
    await until(
      () => registered(one).length,
      (count) => count > 0,
    );
    expect(await one.running.ended).toBe(5);
    expect(registered(one).at(-1)?.state).toBe("draining");
    expect(coordinator.leases.at(-1)?.instances).toEqual([]);
  });
});
