/** 10,000 routes to 1,000 services in included files, replaced while requests flow, through the real program. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Load, startLoad } from "../bench/load.ts";
import { busyRoutes, manyRoutes, pathOf, routeLines, serviceFiles } from "../bench/many-routes.ts";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

const size = manyRoutes(10_000);
const [first, last] = busyRoutes(size);
/** For a machine that does much else. */
const limitMs = 120_000;

let folder: string;
let file: string;
let upstream: Server;
let running: Running;
let web: number;
let admin: number;

function config(marker: string, routes = routeLines(size)): string {
  return `admin: 127.0.0.1:${admin}
include: [services/*.yaml]
listeners:
  web:
    bind: 127.0.0.1:${web}
    routes:
      - match: { path: /marker }
        respond: { status: 200, body: "${marker}" }
${routes}
`;
}

async function save(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

async function get(
  path: string,
  host = "shop.example",
): Promise<{ status: number; text: string; route: string | null }> {
  const answer = await fetch(`http://127.0.0.1:${web}${path}`, { headers: { host } });
  return { status: answer.status, text: await answer.text(), route: answer.headers.get("x-route") };
}

/** Saves it, and waits until it is live. */
async function live(marker: string, routes?: string): Promise<void> {
  await save(file, config(marker, routes));
  await until(
    async () => (await get("/marker")).text,
    (text) => text === marker,
  );
}

/** Keep-alive connections that ask for one route each, far apart. */
function traffic(): Load[] {
  return [first, Math.floor((first + last) / 2), last].map((index) =>
    startLoad({
      port: web,
      path: pathOf(index),
      connections: 2,
      requestsPerSecond: 50,
      wanted: { status: 200, body: Buffer.from(pathOf(index)) },
      timeoutMs: limitMs,
    }),
  );
}

async function expectNoneFailed(loads: readonly Load[]): Promise<void> {
  for (const load of loads) {
    const { examples, failed, closedByPeer, succeeded } = await load.stop();
    expect({ examples, failed, closedByPeer }).toEqual({ examples: [], failed: 0, closedByPeer: 0 });
    expect(succeeded).toBeGreaterThan(0);
  }
}

beforeAll(async () => {
  upstream = createServer((request, response) => response.end(request.url));
  upstream.keepAliveTimeout = limitMs;
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  [web, admin] = (await freePorts(2)) as [number, number];
  folder = await mkdtemp(join(tmpdir(), "clearway-many-routes-"));
  file = join(folder, "clearway.yaml");
  await mkdir(join(folder, "services"));
  const { port } = upstream.address() as AddressInfo;
  for (const [name, text] of serviceFiles(size, port)) await writeFile(join(folder, "services", name), text);
  await save(file, config("first"));
  running = startClearway(["run", "-c", file]);
  await answers(`http://127.0.0.1:${web}/marker`, running);
}, limitMs);

afterAll(async () => {
  await running?.stop();
  upstream?.close();
  upstream?.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
}, limitMs);

test("run: each of 10,000 routes leads to its service, through its filters", async () => {
  await until(
    () => running.output(),
    (said) => said.includes("(10001 routes)"),
  );
  for (const index of [first, first + 9, first + 4_567, last]) {
    const wanted = { status: 200, text: pathOf(index), route: index % 10 === 9 ? String(index) : null };
    expect(await get(pathOf(index))).toEqual(wanted);
  }
  expect((await get("/any", "tenant-999.example")).status).toBe(200);
  expect((await get("/any", "tenant-1000.example")).status).toBe(404);
});

test("run: 10,000 routes are replaced under load, and no request is lost", async () => {
  const loads = traffic();
  for (let round = 1; round <= 3; round++) await live(`round ${round}`);
  const added = "      - match: { path: /added }\n        respond: { status: 200, body: added }";
  await live("one more", `${routeLines(size)}\n${added}`);
  expect((await get("/added")).text).toBe("added");
  await live("one less");
  expect((await get("/added")).status).toBe(404);
  await expectNoneFailed(loads);
  await until(
    () => running.output(),
    (said) => /"heldMs":\d+/.test(said),
  );
}, 300_000);

test("run: one of many included files is changed under load", async () => {
  const loads = traffic();
  const changed = join(folder, "services", "000500.yaml");
  const { port } = upstream.address() as AddressInfo;
  const before = serviceFiles(size, port).get("000500.yaml")!;
  await save(changed, before.replace("  service-500:\n", "  service-500:\n    loadBalancing: random\n"));
  const seen = async () => {
    const view = await (await fetch(`http://127.0.0.1:${admin}/snapshot`)).json();
    return (view as { services: { name: string; loadBalancing: string }[] }).services.find(
      ({ name }) => name === "service-500",
    )?.loadBalancing;
  };
  expect(await until(seen, (policy) => policy === "random")).toBe("random");
  expect((await get("/any", "tenant-500.example")).status).toBe(200);
  await expectNoneFailed(loads);
}, 300_000);
