/** A change of the config while requests flow, through the real program: nothing may be lost, nothing dropped. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLoad } from "../bench/load.ts";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";

const reloads = 60;
const body = "a small body of some bytes\n";

let folder: string;
let file: string;
let upstream: Server;
let upstreamConnections = 0;
let releaseSlow: () => void = () => {};
let running: Running;
let web: number;
let other: number;
let moved: number;
let admin: number;

interface Shape {
  readonly marker: string;
  readonly extra?: string;
}

function config({ marker, extra = "" }: Shape): string {
  const { port } = upstream.address() as AddressInfo;
  return `admin: 127.0.0.1:${admin}
drain: 5s
listeners:
  web:
    bind: 127.0.0.1:${web}
    routes:
      - match: { path: /marker }
        respond: { status: 200, body: "${marker}" }
      - match: { path: /slow }
        filters: [headers: { response: { set: { x-marker: "${marker}" } } }]
        to: app
      - match: { path: /* }
        to: app
${extra}services:
  app: { endpoints: ["127.0.0.1:${port}"] }
log: { format: text }
`;
}

async function save(text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

async function marker(): Promise<string> {
  return (await fetch(`http://127.0.0.1:${web}/marker`)).text();
}

async function live(shape: Shape): Promise<void> {
  await save(config(shape));
  await until(marker, (seen) => seen === shape.marker);
}

function load(port: number, connections: number) {
  const wanted = { status: 200, body: Buffer.from(body) };
  return startLoad({ port, path: "/app", connections, requestsPerSecond: null, wanted });
}

async function reaches(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/app`).then(
    (response) => response.ok,
    () => false,
  );
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-reload-"));
  file = join(folder, "clearway.yaml");
  upstream = createServer((request, response) => {
    if (request.url === "/slow") releaseSlow = () => response.end(body);
    else response.end(body);
  });
  upstream.on("connection", () => {
    upstreamConnections++;
  });
  upstream.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  [web, other, moved, admin] = (await freePorts(4)) as [number, number, number, number];
  await save(config({ marker: "first" }));
  running = startClearway(["run", "-c", file]);
  await answers(`http://127.0.0.1:${web}/marker`, running);
});

afterAll(async () => {
  await running?.stop();
  upstream?.close();
  upstream?.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
});

test(`run: ${reloads} reloads under load lose no request and drop no connection`, async () => {
  await live({ marker: "before" });
  const traffic = load(web, 16);
  for (let i = 0; i < reloads; i++) await live({ marker: `reload ${i}` });
  const result = await traffic.stop();
  expect(result.examples).toEqual([]);
  expect({ failed: result.failed, closedByPeer: result.closedByPeer }).toEqual({
    failed: 0,
    closedByPeer: 0,
  });
  expect(result.succeeded).toBeGreaterThan(reloads);
});

test("run: pools of a service that did not change survive a reload", async () => {
  await fetch(`http://127.0.0.1:${web}/app`);
  const before = upstreamConnections;
  for (let i = 0; i < 5; i++) {
    await live({ marker: `pool ${i}` });
    await fetch(`http://127.0.0.1:${web}/app`);
  }
  expect(upstreamConnections).toBe(before);
});

test("run: a broken file under load changes nothing and is shown with line and column", async () => {
  await live({ marker: "whole" });
  const traffic = load(web, 8);
  await save(config({ marker: "broken" }).replace("respond: { status: 200", "respond: { status: soon"));
  const problems = await until(
    async () => (await (await fetch(`http://127.0.0.1:${admin}/problems`)).json()) as { problems: unknown[] },
    ({ problems }) => problems.length > 0,
  );
  expect(problems.problems).toMatchObject([
    { line: 8, column: 28, path: "listeners.web.routes[0].respond.status" },
  ]);
  await until(running.output, (printed) => printed.includes("clearway.yaml:8:28"));
  expect(await marker()).toBe("whole");
  await live({ marker: "mended" });
  const result = await traffic.stop();
  expect(result.examples).toEqual([]);
  expect(result.failed).toBe(0);
});

test("run: listeners come, move and go while an unchanged one is never stopped", async () => {
  await live({ marker: "one listener" });
  const traffic = load(web, 8);
  const listener = (port: number) =>
    `  second: { bind: "127.0.0.1:${port}", routes: [{ match: { path: /* }, to: app }] }\n`;
  await live({ marker: "two listeners", extra: listener(other) });
  expect(await reaches(other)).toBe(true);
  await live({ marker: "moved", extra: listener(moved) });
  expect(await reaches(moved)).toBe(true);
  await until(
    () => reaches(other),
    (reached) => !reached,
  );
  await live({ marker: "one again" });
  await until(
    () => reaches(moved),
    (reached) => !reached,
  );
  const result = await traffic.stop();
  expect(result.examples).toEqual([]);
  expect({ failed: result.failed, closedByPeer: result.closedByPeer }).toEqual({
    failed: 0,
    closedByPeer: 0,
  });
});

test("run: a request in flight ends on the generation that it began with", async () => {
  await live({ marker: "old" });
  const slow = fetch(`http://127.0.0.1:${web}/slow`);
  const held = releaseSlow;
  await until(
    () => releaseSlow !== held,
    (came) => came,
  );
  await live({ marker: "new" });
  releaseSlow();
  expect((await slow).headers.get("x-marker")).toBe("old");
});
