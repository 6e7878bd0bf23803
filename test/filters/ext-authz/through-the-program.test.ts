/** The filter ext-authz through the real program, with a service that decides, then dies. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../free-ports.ts";
import { answers, type Running, startClearway } from "../../program.ts";

let folder: string;
let node: Running;
let authz: Server;
let orders: Server;
let url: string;
let seen: IncomingMessage["headers"] = {};

async function listening(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-ext-authz-"));
  authz = await listening((request, response) => {
    const allowed = request.headers.authorization === "Bearer good" && request.url === "/check";
    response.setHeader("x-user", "alice");
    response.setHeader("set-cookie", ["seen=1", "plan=gold"]);
    response.statusCode = allowed ? 200 : 403;
    response.end(allowed ? "yes" : `no ${request.headers["x-forwarded-uri"]}`);
  });
  orders = await listening(({ headers }, response) => {
    seen = headers;
    response.setHeader("set-cookie", "own=1");
    response.end("order");
  });
  const [web, admin] = [await freePort(), await freePort()];
  url = `http://127.0.0.1:${web}/orders?id=1`;
  await writeFile(
    join(folder, "clearway.yaml"),
    `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:${web}
    routes:
      - filters:
          - ext-authz: { service: authz, path: /check, toService: [x-user], toCaller: [set-cookie], timeout: 20s }
        to: orders
services:
  authz: { endpoints: ["127.0.0.1:${portOf(authz)}"] }
  orders: { endpoints: ["127.0.0.1:${portOf(orders)}"] }
`,
  );
  node = startClearway(["run", "-c", join(folder, "clearway.yaml")]);
  await answers(`http://127.0.0.1:${admin}/readyz`, node);
});

afterAll(async () => {
  await node.stop();
  await Promise.all([close(orders), close(authz)]);
  await rm(folder, { recursive: true });
});

test("clearway asks the service that decides, and denies when it is gone", async () => {
  const good = { authorization: "Bearer good", "x-user": "root" };
  for (let i = 0; i < 3; i++) {
    const passed = await fetch(url, { headers: good });
    expect([passed.status, await passed.text(), seen["x-user"]]).toEqual([200, "order", "alice"]);
    expect(passed.headers.getSetCookie()).toEqual(["own=1", "seen=1", "plan=gold"]);
  }
  const refused = await fetch(url, { headers: { authorization: "Bearer bad" } });
  expect([refused.status, await refused.text()]).toEqual([403, "no /orders?id=1"]);
  expect(refused.headers.get("x-clearway-reason")).toBe("forbidden");
  expect(refused.headers.get("x-user")).toBeNull();
  await close(authz);
  const denied = await fetch(url, { headers: good });
  expect([denied.status, denied.headers.get("x-clearway-reason")]).toEqual([503, "ext-authz-unavailable"]);
});
