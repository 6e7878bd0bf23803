import { expect, test } from "bun:test";
import { adminApp } from "../../src/node/admin.ts";

let unready: string | null = null;
let warnings: string[] = [];
const app = adminApp({
  unready: () => unready,
  warnings: () => warnings,
  metrics: async () => "clearway_build_info 1\n",
  snapshot: async () => ({ version: 3 }),
  problems: () => [],
  bindHost: () => "Admin.example",
});

function ask(path: string, options: { host?: string; method?: string } = {}): Promise<Response> {
  const headers = options.host === "" ? {} : { host: options.host ?? "127.0.0.1:9900" };
  return Promise.resolve(app.request(path, { method: options.method ?? "GET", headers }));
}

test("admin answers health, readiness, metrics, snapshot, problems and an index", async () => {
  expect(await (await ask("/healthz")).text()).toBe("ok\n");
  expect((await ask("/readyz")).status).toBe(200);
  const metrics = await ask("/metrics");
  expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await metrics.text()).toBe("clearway_build_info 1\n");
  expect(await (await ask("/snapshot")).json()).toEqual({ version: 3 });
  expect(await (await ask("/problems")).json()).toEqual({ problems: [] });
  expect(await (await ask("/")).text()).toContain('href="/metrics"');
  expect((await ask("/nothing")).status).toBe(404);
});

test("admin's /readyz is 503 with the reason", async () => {
  unready = "the node is draining";
  const answer = await ask("/readyz");
  unready = null;
  expect(answer.status).toBe(503);
  expect(await answer.text()).toBe("not ready: the node is draining\n");
});

test("admin's /readyz names what is wrong although the node serves", async () => {
  warnings = ["the feed of the mesh fails for 9 s: connection refused"];
  const answer = await ask("/readyz");
  warnings = [];
  expect(answer.status).toBe(200);
  expect(await answer.text()).toBe(
    "ready\nwarning: the feed of the mesh fails for 9 s: connection refused\n",
  );
});

test("admin answers to addresses, localhost, the bound host, and a probe without Host", async () => {
  const hosts = [
    "127.0.0.1",
    "10.1.2.3:9900",
    "[::1]:9900",
    "localhost:9900",
    "LOCALHOST",
    "admin.example:9900",
    "",
  ];
  for (const host of hosts) expect((await ask("/healthz", { host })).status).toBe(200);
});

test("admin refuses other names, which a web page could have pointed here", async () => {
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:9900",
    "127.0.0.1x",
    "dead.beef",
  ]) {
    const answer = await ask("/snapshot", { host });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("DNS rebinding");
  }
});

test("admin takes GET and HEAD only", async () => {
  expect((await ask("/metrics", { method: "HEAD" })).status).toBe(200);
  for (const method of ["POST", "PUT", "DELETE"]) {
    const answer = await ask("/metrics", { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  }
});
