/** Those who are not who they say, at a real sidecar, at a real coordinator, and in place of a service. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import type { Instance } from "../../src/mesh.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { Authority, type Pair } from "../certificates.ts";
import { freePort } from "../free-ports.ts";
import { openssl, opensslVerdict } from "../openssl.ts";
import { until } from "../program.ts";
import { statusOf } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { closeAll } from "../runtime/setting.ts";
import { asked } from "../runtime/tls/tls-caller.ts";
import { call, credentialsOf, type Member, StartedMesh } from "./started-mesh.ts";

const root = await Authority.make("CN=store root");
const stranger = await Authority.make("CN=store root");
const tries = 100;
const together = 10;

const services = `  storefront: {}
  payments: { allow: [{ from: "*" }] }
  orders: { allow: [{ from: "*" }] }
  catalog: { allow: [{ from: [anonymous, storefront] }], mtls: permissive }
`;

let mesh: StartedMesh;
let storefront: Member;
let payments: Member;
let catalog: Member;
let orders: Server | null = null;
let ordersPort: number;
let ordersCalled = 0;

/** Of the service: as the coordinator would issue it, but for what is wrong with it. */
async function rogues(service: string): Promise<readonly (readonly [string, Pair])[]> {
  const uri = `spiffe://store.example/${service}`;
  const right = { subject: "", uris: [uri], names: [`${service}.mesh`] };
  return [
    ["forged", await stranger.issue(right)],
    ["expired", await root.issue({ ...right, startsDays: -0.9, endsDays: -0.1 })],
    ["of a foreign domain", await root.issue({ ...right, uris: [`spiffe://other.example/${service}`] })],
    ["of two services", await root.issue({ ...right, uris: [uri, "spiffe://store.example/admin"] })],
    ["of an authority", await root.issue({ ...right, isAuthority: true })],
  ];
}
const kinds = ["forged", "expired", "of a foreign domain", "of two services", "of an authority"];

beforeAll(async () => {
  const files = { "ca.pem": root.certificate, "ca.key": await root.key() };
  mesh = await StartedMesh.start(services, { files, more: ["--ca-cert", "ca.pem", "--ca-key", "ca.key"] });
  ordersPort = await freePort();
  [storefront, payments, catalog] = await Promise.all([
    mesh.begin("storefront"),
    mesh.begin("payments"),
    mesh.begin("catalog"),
    mesh.begin("orders", { more: ["--advertise", `127.0.0.1:${ordersPort}`] }),
  ]);
  await mesh.well();
  await until(
    () => call(storefront.sidecar, "payments"),
    ({ status }) => status === 200,
  );
}, 60_000);

afterAll(async () => {
  await closeAll();
  await ordersEnd();
  await mesh?.stop();
});

/** So many at a time; whatever each of them came to. */
async function often<Outcome>(ask: () => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < tries)
    outcomes.push(...(await Promise.all(Array.from({ length: together }, ask))));
  return outcomes;
}

describe(`refused ${tries} times of ${tries} is a certificate`, () => {
  for (const [index, kind] of kinds.entries()) {
    test(`${kind}, at a sidecar's port and at the coordinator`, async () => {
      const [what, { certificate, key }] = (await rogues("storefront"))[index]!;
      expect(what).toBe(kind);
      const before = payments.app.requests.length;
      const atSidecar = await often(() => asked(payments.sidecar.inbound, { cert: certificate, key }));
      expect(new Set(atSidecar)).toEqual(new Set([null]));
      expect(payments.app.requests.length).toBe(before);
      const atCoordinator = await often(() => lease({ certificate, key }));
      expect([...new Set(atCoordinator)].filter((each) => !/^(no connection|40[13] )/.test(each))).toEqual(
        [],
      );
    }, 60_000);
  }

  test("that is right, at neither", async () => {
    const { certificate, key } = credentialsOf(storefront.sidecar);
    const shown = { cert: certificate, key };
    expect(new Set(await often(() => asked(payments.sidecar.inbound, shown)))).toEqual(new Set([200]));
    expect(await lease({ certificate, key })).toBe("200 null");
  }, 60_000);
});

async function lease({ certificate, key }: Pair): Promise<string> {
  const asking = fetch(`${mesh.url}/v1/leases`, {
    method: "POST",
    body: JSON.stringify({ node: "n", instances: [] }),
    keepalive: false,
    tls: { ca: root.certificate, cert: certificate, key },
  });
  return asking.then(
    ({ status, headers }) => `${status} ${headers.get("x-clearway-reason")}`,
    () => "no connection",
  );
}

/** Stands where instances of orders say that they are. */
async function ordersWith({ certificate, key }: Pair): Promise<void> {
  await ordersEnd();
  const server = createServer({ cert: certificate, key }, (_request, response) => {
    ordersCalled++;
    response.end("rogue");
  });
  orders = server;
  await new Promise<void>((resolve) => server.listen(ordersPort, "127.0.0.1", resolve));
}

async function ordersEnd(): Promise<void> {
  const server = orders;
  orders = null;
  if (server === null) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

test("a service with any of these certificates, or another service's, gets no request", async () => {
  const other = credentialsOf(payments.sidecar);
  for (const [, pair] of [...(await rogues("orders")), ["payments", other] as const]) {
    await ordersWith(pair);
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(storefront.sidecar, "orders")));
    expect(answers.filter(({ status }) => status < 500)).toEqual([]);
  }
  expect(ordersCalled).toBe(0);
  const uris = ["spiffe://store.example/orders"];
  await ordersWith(await root.issue({ subject: "", uris, names: ["orders.mesh"] }));
  await until(
    () => call(storefront.sidecar, "orders"),
    ({ text }) => text === "rogue",
  );
}, 60_000);

test("a join token that was replayed, tampered with, used up or for another service is refused by its reason", async () => {
  const ended = async (service: string, token: string) => {
    const { sidecar } = await mesh.begin(service, { token });
    mesh.members.pop();
    return [await sidecar.running.ended, sidecar.running.output()] as const;
  };
  const token = await mesh.token("payments");
  const twice = await mesh.token("payments", "--uses", "2");
  const [head = "", claims = "", signature = ""] = twice.split(".");
  const said = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
  const mine = Object.entries(said).map(([key, value]) => [key, value === "payments" ? "storefront" : value]);
  const changed = Buffer.from(JSON.stringify(Object.fromEntries(mine))).toString("base64url");
  expect(changed).not.toBe(claims);
  const first = await mesh.begin("payments", { token });
  await until(first.sidecar.running.output, (text) => text.includes("serves the sidecar of payments"));
  const cases: readonly [Promise<readonly [number, string]>, string][] = [
    [ended("payments", token), "the join token was used once, as often as it may be; make another one"],
    [
      ended("storefront", `${head}.${changed}.${signature}`),
      "the token was not made by this mesh's coordinator",
    ],
    [ended("payments", `${head}.${claims}.${signature.slice(0, -4)}AAAA`), "was changed since"],
    [ended("storefront", twice), 'the join token is for "payments", not for storefront'],
  ];
  for (const [outcome, words] of cases) expect(await outcome).toEqual([1, expect.stringContaining(words)]);
  expect(await first.sidecar.running.stop()).toBe(0);
}, 60_000);

test("a node that claims another's service or instance is refused, and nobody hears of it", async () => {
  const own = credentialsOf(storefront.sidecar);
  const client = new CoordinatorClient({ clock: systemClock, fetch: secureFetch }, [mesh.url]);
  const { instances } = await mesh.operator.get<{ instances: Instance[] }>("/v1/instances?service=payments");
  const address = { host: "127.0.0.1", port: ordersPort };
  const mine = { address, version: null, zone: null, weight: 1, state: "healthy" } as const;
  const claim = (id: string, service: string) =>
    client.lease({ node: "n", instances: [{ ...mine, id, service }] }, own).then(
      () => "let in",
      ({ reason }: { reason: string }) => reason,
    );
  expect(await claim("mine", "payments")).toBe("not-your-service");
  expect(await claim(instances[0]!.id, "storefront")).toBe("instance-taken");
  const after = await mesh.operator.get<{ instances: Instance[] }>("/v1/instances?service=payments");
  expect(after.instances.map(({ id }) => id)).toEqual(instances.map(({ id }) => id));
  expect((await call(storefront.sidecar, "payments")).text).toBe("payments GET /");
});

test("plain HTTP is refused by a strict service and served by a permissive one, each for itself", async () => {
  const plain = async ({ sidecar }: Member, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${sidecar.inbound}/list`, { headers, keepalive: false });
    return [answer.status, answer.headers.get("x-clearway-reason"), await answer.text()];
  };
  const before = payments.app.requests.length;
  expect((await plain(payments)).slice(0, 2)).toEqual([400, "mtls-required"]);
  expect(payments.app.requests.length).toBe(before);
  const pretended = { "x-clearway-identity": "spiffe://store.example/admin" };
  expect(await plain(catalog, pretended)).toEqual([200, null, "catalog GET /list"]);
  expect(catalog.app.requests.at(-1)!.headers["x-clearway-identity"]).toBeUndefined();
  expect((await call(storefront.sidecar, "catalog", "/list")).status).toBe(200);
  expect((await call(payments.sidecar, "catalog", "/list")).status).toBe(403);
});

test("a permissive service that becomes strict ends the plain connections that are open, within a second", async () => {
  const client = await RawClient.open(catalog.sidecar.inbound);
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  client.send(`GET /chat HTTP/1.1\r\nHost: catalog.mesh\r\n${upgrade}\r\n`);
  expect(statusOf(await client.answer())).toBe(101);
  const applied = mesh.put(services.replace("permissive", "strict"));
  const startedAtMs = performance.now();
  await client.ended();
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
  await applied;
  const later = await RawClient.open(catalog.sidecar.inbound);
  expect(statusOf(await later.exchange("GET / HTTP/1.1\r\nHost: catalog.mesh\r\n\r\n"))).toBe(400);
  later.close();
  expect((await call(storefront.sidecar, "catalog")).status).toBe(200);
}, 60_000);

test("an app that pretends to be another is known to the callee as what its node proved", async () => {
  for (const name of ["x-clearway-identity", "X-Clearway-Identity", "x-clearway-caller"]) {
    await call(storefront.sidecar, "payments", "/who", {
      headers: { [name]: "spiffe://store.example/admin" },
    });
    const { path, headers } = payments.app.requests.at(-1)!;
    expect(path).toBe("/who");
    expect(headers["x-clearway-identity"]).toBe("spiffe://store.example/storefront");
    expect(JSON.stringify(headers)).not.toContain("admin");
  }
});

test("openssl agrees: it verifies a sidecar's certificate and its port, and is let in with one", async () => {
  const { state, inbound } = payments.sidecar;
  const read = (name: string) => readFileSync(join(state, name), "utf8");
  const judged = { certificate: read("certificate.pem"), roots: read("roots.pem"), atEpochMs: Date.now() };
  for (const purpose of ["sslclient", "sslserver"] as const) {
    expect(opensslVerdict({ ...judged, purpose })).toBe("OK");
  }
  const { certificate, key } = credentialsOf(storefront.sidecar);
  const files = { "roots.pem": judged.roots, "own.pem": certificate, "own.key": key };
  const args = ["s_client", "-connect", `127.0.0.1:${inbound}`, "-CAfile", "roots.pem", "-brief"];
  const proof = ["-cert", "own.pem", "-key", "own.key", "-cert_chain", "own.pem"];
  const wanted = ["-verify_return_error", "-verify_hostname", "payments.mesh"];
  expect(openssl([...args, ...proof, ...wanted], files)).toContain("Verification: OK");
  const other = [...wanted.slice(0, 2), "orders.mesh"];
  expect(() => openssl([...args, ...proof, ...other], files)).toThrow("ostname mismatch");
  const alone = { "roots.pem": stranger.certificate };
  expect(() => openssl([...args, ...wanted], alone)).toThrow(/verify (failed|error)/);
});

test("get identities exits 0 when none ends so soon, and 1 with those that do", async () => {
  expect(await mesh.obey("get", "identities", "--expiring", "6h")).toMatchObject({ code: 0 });
  const near = await mesh.obey("get", "identities", "storefront", "--expiring", "25h");
  expect(near.code).toBe(1);
  expect(near.output).toMatch(/spiffe:\/\/store\.example\/storefront +\S+ .* in use$/m);
  expect((await mesh.obey("get", "identities")).output.match(/ in use$/gm)!.length).toBeGreaterThanOrEqual(4);
}, 30_000);
