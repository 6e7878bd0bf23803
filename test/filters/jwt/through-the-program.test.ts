/** The filter jwt through the real program: an issuer that comes late, goes away and has new keys; claims as a key. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../free-ports.ts";
import { answers, type Running, startClearway, until } from "../../program.ts";
import { bearer, signed, signingKey } from "./issuer.ts";

const key = await signingKey("ES256", "one");
const later = await signingKey("ES256", "two");
const exp = 4_000_000_000;

let folder: string;
let node: Running;
let ports: { readonly web: number; readonly admin: number; readonly issuer: number };
let issuer: Server | null = null;
const services: Server[] = [];
/** What the service saw last. */
let seen: IncomingMessage["headers"] = {};

async function listening(
  port: number,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function close(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}

async function serveKeys(keys: readonly { readonly jwk: object }[]): Promise<void> {
  if (issuer !== null) await close(issuer);
  const text = JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
  issuer = await listening(ports.issuer, (_request, response) => void response.end(text));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-jwt-"));
  for (let i = 0; i < 3; i++) {
    const service = await listening(0, ({ headers }, response) => {
      seen = headers;
      response.setHeader("x-endpoint", String(i));
      response.end("ok");
    });
    services.push(service);
  }
  ports = { web: await freePort(), admin: await freePort(), issuer: await freePort() };
  const endpoints = services.map((service) => `127.0.0.1:${portOf(service)}`);
  await writeFile(
    join(folder, "clearway.yaml"),
    `admin: 127.0.0.1:${ports.admin}
listeners:
  web:
    bind: 127.0.0.1:${ports.web}
    routes:
      - filters:
          - jwt:
              issuer: https://id.example
              audience: shop
              jwks: http://127.0.0.1:${ports.issuer}/keys
              headers: { x-user: sub }
              cooldown: 1s
        to: orders
services:
  orders: { endpoints: ${JSON.stringify(endpoints)}, loadBalancing: { ring-hash: { key: "claim:sub" } } }
`,
  );
  node = startClearway(["run", "-c", join(folder, "clearway.yaml")]);
  await answers(`http://127.0.0.1:${ports.admin}/readyz`, node);
});

afterAll(async () => {
  await node.stop();
  for (const server of [...services, issuer]) if (server !== null) await close(server);
  await rm(folder, { recursive: true });
});

async function call(token: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${ports.web}/`, bearer(token));
}

describe("clearway with jwt", () => {
  test("refuses with 503 while the issuer was never there, and serves once it is", async () => {
    const token = await signed(key, { exp });
    const early = await call(token);
    expect([early.status, early.headers.get("x-clearway-reason")]).toEqual([503, "jwks-unavailable"]);
    await serveKeys([key]);
    const served = await until(
      () => call(token),
      ({ status }) => status !== 503,
    );
    expect([served.status, await served.text(), seen["x-user"]]).toEqual([200, "ok", "alice"]);
  });

  test("serves without the issuer, and tokens of its new key as soon as it is back", async () => {
    await close(issuer!);
    issuer = null;
    expect((await call(await signed(key, { exp, sub: "bob" }))).status).toBe(200);
    const unknown = await call(await signed(later, { exp }));
    expect([unknown.status, unknown.headers.get("x-clearway-reason")]).toEqual([401, "unauthenticated"]);
    expect(unknown.headers.get("www-authenticate")).toContain('error="invalid_token"');
    await serveKeys([key, later]);
    const token = await signed(later, { exp });
    await until(
      async () => (await call(token)).status,
      (status) => status === 200,
    );
  });

  test("sends the same subject to the same endpoint, whatever its token", async () => {
    const used = new Set<string | null>();
    for (let user = 0; user < 12; user++) {
      const sub = `user-${user}`;
      const [first, second] = [
        await call(await signed(key, { exp, sub })),
        await call(await signed(key, { exp, sub, jti: "2" })),
      ];
      expect([first.status, second.status, seen["x-user"]]).toEqual([200, 200, sub]);
      expect(second.headers.get("x-endpoint")).toBe(first.headers.get("x-endpoint"));
      used.add(first.headers.get("x-endpoint"));
    }
    expect(used.size).toBeGreaterThan(1);
  });

  test("lets no caller forge the header of a claim, nor have it taken out by Connection", async () => {
    const token = await signed(key, { exp });
    const headers = { ...bearer(token).headers, "X-User": "root", connection: "x-user, keep-alive" };
    const status = await new Promise((resolve, reject) => {
      const sent = request({ port: ports.web, host: "127.0.0.1", headers }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode));
      });
      sent.on("error", reject).end();
    });
    expect([status, seen["x-user"]]).toEqual([200, "alice"]);
  });

  test("counts what it refuses and what it downloads", async () => {
    await call("x.y.z");
    const metrics = await until(
      async () => (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text(),
      (text) => text.includes('why="malformed"'),
    );
    expect(metrics).toMatch(/clearway_filter_jwt_refused_total\{why="malformed"\} 1/);
    expect(metrics).toMatch(/clearway_filter_jwks_downloads_total\{result="failed"\} [1-9]/);
    expect(metrics).toContain('status="401",reason="unauthenticated"}');
  });
});
