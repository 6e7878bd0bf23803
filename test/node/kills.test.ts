/** Workers killed under load: nobody notices but those whose connections they had. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killWorkers } from "../../bench/kills.ts";
import { freePorts } from "../free-ports.ts";
import { answers, type Running, startClearway, until } from "../program.ts";

const body = "a small body of some bytes\n";
const workers = 4;
const connections = 32;
const kills = 8;

let upstream: Server;
let running: Running;
let port: number;
let adminPort: number;

beforeAll(async () => {
  upstream = createServer((_request, response) => response.end(body));
  upstream.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  [port, adminPort] = (await freePorts(2)) as [number, number];
  const file = join(mkdtempSync(join(tmpdir(), "clearway-kills-")), "clearway.yaml");
  const endpoint = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  writeFileSync(
    file,
    `admin: 127.0.0.1:${adminPort}
listeners:
  web:
    bind: 127.0.0.1:${port}
    routes: [{ match: { path: /* }, to: app }]
services:
  app: { endpoints: ["${endpoint}"] }
`,
  );
  running = startClearway(["run", "-c", file, "--workers", String(workers)]);
  await answers(`http://127.0.0.1:${adminPort}/readyz`, running);
});

afterAll(async () => {
  await running?.stop();
  upstream?.close();
  upstream?.closeAllConnections();
});

test(`run: ${kills} workers killed under load lose only their own connections, which are counted`, async () => {
  const wanted = { status: 200, body: Buffer.from(body) };
  const options = { port, adminPort, path: "/app", wanted, connections, kills, periodMs: 1000 };
  const rows = await killWorkers(options);
  expect(rows.map(({ foreign }) => foreign)).toEqual(rows.map(() => 0));
  for (const row of rows) {
    expect(row.failed + row.idle).toBe(row.connections);
    expect(row.succeeded).toBeGreaterThan(0);
  }
  expect(rows.reduce((sum, row) => sum + row.failed, 0)).toBeGreaterThan(0);
  const said = [...running.output().matchAll(/worker \d ended \(SIGKILL\): (\d+) connections? lost/g)];
  expect(said.length).toBe(kills);
  for (const [kill, { connections }] of rows.entries()) {
    // It may have been stopped between accepting a connection and counting it.
    expect(Math.abs(Number(said[kill]![1]) - connections)).toBeLessThanOrEqual(1);
  }
  await until(
    async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status,
    (status) => status === 200,
  );
});
