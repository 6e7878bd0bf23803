/** What a mesh document says of a service, through the real thing: the operator's apply, sidecars, apps, a gateway. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { freePort } from "../free-ports.ts";
import { type Running, startClearway, until } from "../program.ts";
import { startCalls } from "./calls.ts";
import { type Answer, call, type Member, StartedMesh } from "./started-mesh.ts";

let mesh: StartedMesh;
let gateway: Running;
let gatewayPort: number;
let outside: Server;
let outsidePort: number;
let storefront: Member;
let payments: Member;
let next: Member;
const products: Member[] = [];

/** Every service of every test: each test says what is other with its own. */
function services(own: Readonly<Record<string, string>> = {}): string {
  const said: Record<string, string> = {
    gateway: "{}",
    storefront: "{}",
    payments: '{ allow: [{ from: "*" }] }',
    products: '{ allow: [{ from: "*" }] }',
    next: '{ allow: [{ from: "*" }] }',
    taxes: `{ endpoints: ["127.0.0.1:${outsidePort}"] }`,
    ...own,
  };
  return Object.entries(said)
    .map(([name, rules]) => `  ${name}: ${rules}\n`)
    .join("");
}

async function applied(own: Readonly<Record<string, string>>, root = ""): Promise<void> {
  const { code, output } = await mesh.apply(services(own), root);
  expect([code, output]).toEqual([0, expect.stringMatching(/live on all \d+ connected nodes\n/)]);
}

const get = (service: string, path = "/", init: RequestInit = {}) =>
  call(storefront.sidecar, service, path, init);

async function answersOf(times: number, ask: () => Promise<Answer>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let time = 0; time < times; time++) {
    const { status, text } = await ask();
    const answer = `${status} ${text.split(" ")[0]}`;
    counts[answer] = (counts[answer] ?? 0) + 1;
  }
  return counts;
}

async function startGateway(): Promise<void> {
  writeFileSync(join(mesh.folder, "join.token"), await mesh.token("gateway"));
  gatewayPort = await freePort();
  const config = {
    admin: "127.0.0.1:0",
    listeners: {
      web: {
        bind: `127.0.0.1:${gatewayPort}`,
        routes: [
          { match: { path: "/pay/*" }, to: "payments" },
          { match: { path: "/both/*" }, rewrite: { path: "/*" }, to: { payments: 1, products: 1 } },
          { to: "products" },
        ],
      },
    },
    services: { products: {}, payments: {} },
    mesh: { coordinator: mesh.url, service: "gateway", tokenFile: "join.token" },
  };
  writeFileSync(join(mesh.folder, "gateway.yaml"), JSON.stringify(config));
  gateway = startClearway(["run", "-c", "gateway.yaml"], { folder: mesh.folder });
}

async function throughGateway(path = "/"): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${gatewayPort}${path}`);
  const reason = response.headers.get("x-clearway-reason");
  return { status: response.status, text: await response.text(), reason, headers: response.headers };
}

beforeAll(async () => {
  outside = createServer((request, response) => response.end(`outside ${request.url}`));
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  outsidePort = (outside.address() as AddressInfo).port;
  mesh = await StartedMesh.start(services());
  const version = (wanted: string) => ({ version: wanted, name: `products-${wanted}` });
  const [first, ...more] = await Promise.all([
    mesh.begin("storefront"),
    mesh.begin("payments"),
    mesh.begin("next"),
    mesh.begin("products", version("v1")),
    mesh.begin("products", version("v2")),
    startGateway(),
  ]);
  storefront = first;
  [payments, next] = [more[0], more[1]];
  products.push(more[2], more[3]);
  await mesh.well();
  for (const service of ["payments", "products", "next"]) {
    await until(
      () => get(service),
      ({ status }) => status === 200,
    );
  }
  const gone = async () =>
    throughGateway().then(
      ({ status }) => status,
      () => 0,
    );
  await until(gone, (status) => status === 200);
}, 90_000);

afterAll(async () => {
  await gateway?.stop();
  outside?.close();
  outside?.closeAllConnections();
  await mesh?.stop();
});

test("allow is by caller, method and path; audit lets pass, and the log names the rule of either", async () => {
  const allow = "[{ from: storefront, method: POST, path: /charge }]";
  await applied({ payments: `{ allow: ${allow}, audit: [{ from: storefront, path: /old/* }] }` });
  expect(await get("payments", "/charge", { method: "POST" })).toMatchObject({ status: 200 });
  const refused: readonly (readonly [string, RequestInit])[] = [
    ["/charge", {}],
    ["/refund", { method: "POST" }],
    ["/charge/../admin", { method: "POST" }],
  ];
  for (const [path, init] of refused) {
    expect(await get("payments", path, init)).toMatchObject({ status: 403, reason: "policy-denied" });
  }
  expect(await throughGateway("/pay/x")).toMatchObject({ status: 403, reason: "policy-denied" });
  expect(await get("payments", "/old/charge")).toMatchObject({
    status: 200,
    text: "payments GET /old/charge",
  });
  const log = payments.sidecar.running.output;
  await until(log, (text) => text.includes("let pass by audit[0]: no rule of allow takes GET of spiffe://"));
  await until(log, (text) => text.includes("spiffe://store.example/gateway") && text.includes("no rule"));
}, 60_000);

test("split by version, and by a header, holds at sidecars and at the gateway", async () => {
  const beta = '[{ match: { headers: { x-beta: "1" } }, split: { v2: 1 } }]';
  await applied({ products: `{ allow: [{ from: "*" }], split: { v1: 3, v2: 1 }, routes: ${beta} }` });
  for (const ask of [() => get("products"), () => throughGateway()]) {
    const { "200 products-v1": first = 0, "200 products-v2": second = 0 } = await answersOf(200, ask);
    expect(first + second).toBe(200);
    // Four standard deviations of 200 draws with a chance of a quarter.
    expect(Math.abs(second - 50)).toBeLessThan(25);
  }
  const chosen = await answersOf(20, () => get("products", "/", { headers: { "x-beta": "1" } }));
  expect(chosen).toEqual({ "200 products-v2": 20 });
  await applied({ products: '{ allow: [{ from: "*" }], split: { v2: 1 } }' });
  expect(await answersOf(20, () => throughGateway())).toEqual({ "200 products-v2": 20 });
}, 60_000);

test("timeout, retry, mirror and fault are of the service that they stand at, and of no other", async () => {
  await applied({
    payments: '{ allow: [{ from: "*" }], timeout: 300ms, retry: { attempts: 3, when: [503] } }',
    products: '{ allow: [{ from: "*" }], mirror: { to: next } }',
    next: '{ allow: [{ from: "*" }], fault: { abort: { status: 418 }, header: x-fault } }',
  });
  const late = await get("payments", "/charge?ms=3000");
  expect(late).toMatchObject({ status: 504, reason: "upstream-timeout" });
  const asked = () => payments.app.requests.filter(({ path }) => path === "/status/503").length;
  expect((await get("payments", "/status/503")).status).toBe(503);
  expect(asked()).toBe(3);
  expect((await get("products", "/status/503")).status).toBe(503);
  expect((await get("products", "/mirrored")).text).toMatch(/^products-v\d GET/);
  const copy = () => next.app.requests.find(({ path }) => path === "/mirrored");
  expect((await until(copy, (seen) => seen !== undefined))!.headers.host).toBe("products.mesh-shadow");
  const faulty = await get("next", "/", { headers: { "x-fault": "1" } });
  expect(faulty).toMatchObject({ status: 418, reason: "fault" });
  expect((await get("next")).status).toBe(200);
}, 60_000);

test("a gateway's route to several services goes by each one's own rules", async () => {
  const retry = "{ attempts: 3, when: [503], budget: 100%, perSecond: 10000 }";
  const stamp = "{ headers: { response: { set: { x-rules: payments } } } }";
  await applied({
    payments: `{ allow: [{ from: "*" }], timeout: 300ms, retry: ${retry}, outbound: [${stamp}] }`,
    products: '{ allow: [{ from: "*" }], split: { v2: 1 } }',
  });
  const stamped = async () => {
    const answer = await throughGateway("/both/x");
    return { ...answer, text: `${answer.text.split(" ")[0]}:${answer.headers.get("x-rules")}` };
  };
  const { "200 payments:payments": first = 0, "200 products-v2:null": second = 0 } = await answersOf(
    60,
    stamped,
  );
  expect(first + second).toBe(60);
  // Four standard deviations of 60 draws with a chance of a half.
  expect(Math.abs(first - 30)).toBeLessThan(16);

  const asked = ({ app }: Member) => app.requests.filter(({ path }) => path === "/status/503").length;
  const before = [asked(payments), asked(products[1]!)] as const;
  const busy = await answersOf(20, () => throughGateway("/both/status/503"));
  const { "503 payments": thrice = 0, "503 products-v2": once = 0 } = busy;
  expect(thrice + once).toBe(20);
  expect([asked(payments) - before[0], asked(products[1]!) - before[1]]).toEqual([3 * thrice, once]);

  const slow = await Promise.all(Array.from({ length: 20 }, () => throughGateway("/both/slow?ms=1500")));
  const outcomes = slow.map(({ status, reason, text }) => (status === 200 ? text.split(" ")[0] : reason));
  expect([...new Set(outcomes)].toSorted()).toEqual(["products-v2", "upstream-timeout"]);
}, 60_000);

test("balancing and outlier detection are of the service too", async () => {
  const outlierDetection = "{ consecutiveErrors: 3, ejection: 60s, maxEjected: 50% }";
  const balancing = `loadBalancing: round-robin, outlierDetection: ${outlierDetection}`;
  await applied({ products: `{ allow: [{ from: "*" }], ${balancing} }` });
  const even = await answersOf(20, () => get("products"));
  expect(even).toEqual({ "200 products-v1": 10, "200 products-v2": 10 });
  const failing = await answersOf(40, () => get("products", "/fails?at=products-v2"));
  expect(failing["500 products-v2"]).toBe(3);
  expect(await answersOf(10, () => get("products"))).toEqual({ "200 products-v1": 10 });
}, 60_000);

function stamp(value: string): string {
  return `import { defineFilter, z } from "clearway/plugin";
export default defineFilter({
  name: "stamp",
  summary: "Says where it runs",
  options: z.strictObject({ at: z.string() }),
  middleware: ({ at }) => async (c, next) => {
    await next();
    c.header("x-stamp-" + at, ${JSON.stringify(value)} + " " + c.env.service);
  },
});
`;
}

test("filters of one's own run at inbound and at outbound, on nodes that have no such file", async () => {
  mkdirSync(join(mesh.folder, "plugins"), { recursive: true });
  const file = join(mesh.folder, "plugins/stamp.ts");
  const at = (where: string) => `[./plugins/stamp.ts: { at: ${where} }]`;
  const own = { payments: `{ allow: [{ from: "*" }], inbound: ${at("in")}, outbound: ${at("out")} }` };
  const seen = async () => {
    const { headers } = await get("payments");
    return [headers.get("x-stamp-in")?.split(" ")[0], headers.get("x-stamp-out")?.split(" ")[0]];
  };
  writeFileSync(file, stamp("one"));
  await applied(own);
  expect(await seen()).toEqual(["one", "one"]);
  expect((await throughGateway("/pay/x")).headers.get("x-stamp-out")).toStartWith("one ");
  // Another text of it is another version, live like any other change.
  writeFileSync(file, stamp("two"));
  await applied(own);
  expect(await seen()).toEqual(["two", "two"]);
  writeFileSync(
    file,
    stamp("three").replace("middleware:", "middleware: () => { throw new Error('broken') }, other:"),
  );
  const refused = await mesh.apply(services(own));
  expect(refused.code).toBe(1);
  expect(refused.output).toContain("stamp.ts");
  expect(await seen()).toEqual(["two", "two"]);
}, 60_000);

async function curl(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["curl", "-sS", "-w", " %{http_code}", ...args], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return out.trim() + error.trim();
}

test("egress: curl through the sidecar's proxy reaches hosts outside, or is denied them; services always", async () => {
  const proxy = ["-x", `http://127.0.0.1:${storefront.sidecar.outbound}`, "--noproxy", ""];
  const url = `http://127.0.0.1:${outsidePort}/a`;
  await applied({});
  expect(await curl(...proxy, url)).toBe("outside /a 200");
  expect(await curl("-p", ...proxy, url)).toBe("outside /a 200");
  await applied({}, "defaults: { egress: deny }");
  expect(await curl("-o", "/dev/null", ...proxy, url)).toBe("403");
  expect(await curl("-p", ...proxy, url)).toMatch(/403/);
  const denied = await fetch(url, { proxy: `http://127.0.0.1:${storefront.sidecar.outbound}` });
  expect([denied.status, denied.headers.get("x-clearway-reason")]).toEqual([403, "egress-denied"]);
  expect(await curl(...proxy, "http://payments.mesh/charge")).toBe("payments GET /charge 200");
  expect(await curl("-p", ...proxy, "http://payments.mesh/charge")).toBe("payments GET /charge 200");
  expect(await curl("-H", "Host: payments.mesh", `http://127.0.0.1:${storefront.sidecar.outbound}/x`)).toBe(
    "payments GET /x 200",
  );
  // A service outside that the document names is no stranger.
  expect((await get("taxes", "/rate")).text).toBe("outside /rate");
}, 60_000);

test("each version is kept with who and when; diff shows it and rollback brings it back, under load", async () => {
  await applied({ products: '{ allow: [{ from: "*" }], split: { v1: 1 } }' });
  const calls = startCalls(`http://127.0.0.1:${gatewayPort}/`, 2);
  const listed = await mesh.obey("get", "versions", "-o", "json");
  const { versions } = JSON.parse(listed.output) as {
    versions: { version: number; by: string; appliedEpochMs: number }[];
  };
  const [newest, before] = versions.toSorted((one, other) => other.version - one.version);
  expect(newest!.by).not.toBe("");
  expect(Math.abs(Date.now() - newest!.appliedEpochMs)).toBeLessThan(60_000);
  const diff = await mesh.obey("diff", String(before!.version));
  expect(diff.output).toContain("split");
  const back = await mesh.obey("rollback", String(before!.version));
  expect([back.code, back.output]).toEqual([
    0,
    expect.stringContaining(`version ${newest!.version + 1} holds`),
  ]);
  await calls.stop();
  expect(calls.failures()).toEqual([]);
  expect(await answersOf(1, () => get("products"))).toMatchObject({});
}, 60_000);
