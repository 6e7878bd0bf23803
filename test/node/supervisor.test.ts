import { afterEach, expect, test } from "bun:test";
import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { linuxUsage } from "../../src/host/processes/linux.ts";
import { freePort } from "../free-ports.ts";
import { until } from "../program.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { gone, newFile, refused, TestNode } from "./test-node.ts";

const program = [process.execPath, join(import.meta.dir, "fake-node.ts")];
const nodes: TestNode[] = [];

afterEach(async () => {
  for (const node of nodes) node.signal("SIGKILL");
  await Promise.all(nodes.map((node) => node.ended));
  nodes.length = 0;
});

interface Content {
  readonly port: number;
  readonly admin: number;
  readonly body?: string;
  readonly drainMs?: number;
  readonly format?: string;
  readonly refuse?: string;
  readonly wrong?: boolean;
  readonly busyMsMax?: number;
}

function startNode(content: Content): TestNode {
  const file = newFile("clearway.json", JSON.stringify(content));
  const node = new TestNode([...program, file], file);
  nodes.push(node);
  return node;
}

async function servingNode(more: Partial<Content> = {}): Promise<{ node: TestNode; content: Content }> {
  const content = { port: await freePort(), admin: await freePort(), body: "one", ...more };
  const node = startNode(content);
  await node.said(/tcp_migrate_req/);
  return { node, content };
}

async function get(port: number, path = "/"): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive: false });
  return { status: response.status, text: await response.text() };
}

/** Until a new worker serves. */
async function readyAgain(admin: number): Promise<void> {
  while ((await get(admin, "/readyz")).status !== 200) await Bun.sleep(20);
}

/** A request under way, counted by the worker; what its caller sends next lets it end. */
async function slowRequest(content: Content): Promise<RawClient> {
  const caller = await RawClient.open(content.port);
  caller.send("GET /slow HTTP/1.1\r\nhost: store\r\n\r\n");
  await counted(content, /clearway_requests_total\{/);
  return caller;
}

/** Until /metrics says so: what a busy worker measured comes later than it was asked for. */
function counted({ admin }: Content, pattern: RegExp): Promise<unknown> {
  return until(
    async () => (await get(admin, "/metrics")).text,
    (text) => pattern.test(text),
  );
}

const isLive = /"the configuration is live"/;
const keepsServing = /keeps serving/;

test("supervisor says what it serves, and serves it", async () => {
  const { node, content } = await servingNode();
  expect(node.text).toContain(`listener web on http://127.0.0.1:${content.port} (1 route)`);
  expect(node.text).toContain(`admin on http://127.0.0.1:${content.admin}`);
  expect(await get(content.port)).toEqual({ status: 200, text: "one" });
  expect(await get(content.admin, "/readyz")).toEqual({ status: 200, text: "ready\n" });
});

test("supervisor makes a saved configuration live", async () => {
  const { node, content } = await servingNode();
  await node.save(JSON.stringify({ ...content, body: "two" }), isLive);
  expect((await get(content.port)).text).toBe("two");
  expect((await get(content.admin, "/metrics")).text).toContain('clearway_reloads_total{result="applied"} 1');
});

test("supervisor shows the problems of a wrong configuration and keeps serving the old one", async () => {
  const { node, content } = await servingNode({ format: "text" });
  await node.save(JSON.stringify({ ...content, wrong: true }), keepsServing);
  expect(node.text).toContain(`${node.file}:3:7 is wrong\n`);
  expect((await get(content.port)).text).toBe("one");
  const { problems } = JSON.parse((await get(content.admin, "/problems")).text);
  expect(problems).toHaveLength(1);
  expect(problems[0].message).toBe("is wrong");
  expect((await get(content.admin, "/readyz")).status).toBe(200);
  expect((await get(content.admin, "/metrics")).text).toContain('clearway_reloads_total{result="refused"} 1');
  await node.save(JSON.stringify({ ...content, body: "two" }), /is live as version 2/);
  expect((await get(content.admin, "/problems")).text).toBe('{"problems":[]}');
});

test("supervisor survives a config file that goes and comes back", async () => {
  const { node, content } = await servingNode();
  unlinkSync(node.file);
  await node.said(/cannot read/);
  expect((await get(content.port)).text).toBe("one");
  await node.save(JSON.stringify({ ...content, body: "two" }), isLive);
  expect((await get(content.port)).text).toBe("two");
});

test("supervisor takes what a worker refuses for a problem", async () => {
  const { node, content } = await servingNode();
  await node.save(JSON.stringify({ ...content, body: "two", refuse: "yes" }), keepsServing);
  expect((await get(content.port)).text).toBe("one");
  expect((await get(content.admin, "/problems")).text).toContain("the runtime refuses");
});

test("supervisor goes back to the old configuration when the new one ends the worker", async () => {
  const { node, content } = await servingNode();
  await node.save(JSON.stringify({ ...content, body: "two", refuse: "crash" }), keepsServing);
  await readyAgain(content.admin);
  expect((await get(content.port)).text).toBe("one");
  expect((await get(content.admin, "/problems")).text).toContain("a worker ended");
});

test("supervisor reloads at SIGHUP, even an unchanged file", async () => {
  const { node, content } = await servingNode();
  node.signal("SIGHUP");
  await node.said(isLive);
  expect(JSON.parse((await get(content.admin, "/snapshot")).text).version).toBe(2);
});

test("supervisor moves a listener and admin to new addresses", async () => {
  const { node, content } = await servingNode();
  const moved = { port: await freePort(), admin: await freePort(), body: "two" };
  await node.save(JSON.stringify(moved), isLive);
  expect((await get(moved.port)).text).toBe("two");
  expect((await get(moved.admin, "/readyz")).status).toBe(200);
  await refused(content.admin);
  await refused(content.port);
});

test("supervisor refuses a reload to an address that is taken, and changes nothing", async () => {
  const [first, second] = await Promise.all([servingNode(), servingNode()]);
  const taken = first.content;
  await second.node.save(JSON.stringify({ ...second.content, body: "two", port: taken.port }), keepsServing);
  expect(second.node.text).toContain(`cannot listen on 127.0.0.1:${taken.port}: the address is in use`);
  await second.node.save(
    JSON.stringify({ ...second.content, body: "two", admin: taken.admin }),
    keepsServing,
  );
  expect((await get(second.content.port)).text).toBe("one");
  expect((await get(second.content.admin, "/readyz")).status).toBe(200);
});

test("supervisor exits 1 with one line when another node has the port", async () => {
  const { content } = await servingNode();
  const node = startNode({ ...content, admin: await freePort() });
  expect(await node.ended).toBe(1);
  const place = `(listeners.web.bind, ${node.file}:5)`;
  expect(node.text).toBe(
    `clearway: cannot listen on 127.0.0.1:${content.port}: the address is in use ${place}\n`,
  );
});

test("supervisor exits 1 with one line when the admin port is taken", async () => {
  const { content } = await servingNode();
  const node = startNode({ ...content, port: await freePort() });
  expect(await node.ended).toBe(1);
  expect(node.text).toMatch(
    /^clearway: cannot listen on 127\.0\.0\.1:\d+: the address is in use \(admin, .*\)\n$/,
  );
});

test("supervisor exits 1 with one line when the config file is missing", async () => {
  const node = new TestNode([...program, "/nowhere/clearway.json"], "");
  nodes.push(node);
  expect(await node.ended).toBe(1);
  expect(node.text).toBe("clearway: cannot read /nowhere/clearway.json: no such file\n");
});

test("supervisor drains at SIGTERM: readyz is 503, requests end, exit code 0", async () => {
  const { node, content } = await servingNode({ drainMs: 60_000 });
  const caller = await slowRequest(content);
  node.signal("SIGTERM");
  await node.said(/draining/);
  expect((await get(content.admin, "/readyz")).text).toBe("not ready: the node is draining\n");
  expect((await caller.exchange("go on")).body).toBe("one");
  expect(await node.ended).toBe(0);
});

test("supervisor ends at once at a second signal", async () => {
  const { node, content } = await servingNode({ drainMs: 600_000 });
  await slowRequest(content);
  node.signal("SIGINT");
  await node.said(/draining/);
  node.signal("SIGINT");
  expect(await node.ended).toBe(0);
});

test("supervisor replaces a worker that died, and keeps what it counted", async () => {
  const { node, content } = await servingNode();
  await get(content.port);
  await counted(content, /clearway_requests_total\{.*\} 1\n/);
  const [before] = node.workers;
  await get(content.port, "/crash").catch(() => {});
  await node.said(/worker 1 ended \(exit code 3\)/);
  await readyAgain(content.admin);
  expect(node.workers).toHaveLength(1);
  expect(node.workers[0]).not.toBe(before!);
  expect((await get(content.port)).text).toBe("one");
  await counted(content, /clearway_requests_total\{.*\} 2\n/);
});

test("supervisor replaces a worker whose heartbeat stopped", async () => {
  const { node, content } = await servingNode();
  get(content.port, "/hang").catch(() => {});
  await node.said(/gives no sign of life/);
  await readyAgain(content.admin);
  expect((await get(content.port)).text).toBe("one");
});

test("worker survives an error that nothing caught, and counts it", async () => {
  const { node, content } = await servingNode();
  await get(content.port, "/throw");
  await node.said(/thrown while serving/);
  expect((await get(content.port)).text).toBe("one");
  await counted(content, /clearway_uncaught_errors_total 1\n/);
});

test("worker leaves signals to its supervisor", async () => {
  const { node, content } = await servingNode();
  const [worker] = node.workers;
  for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(worker!, name);
  expect((await get(content.port)).text).toBe("one");
  expect(node.workers).toEqual([worker!]);
});

test("worker finishes and ends when its supervisor was killed", async () => {
  const { node, content } = await servingNode({ drainMs: 60_000 });
  const [worker] = node.workers;
  const caller = await slowRequest(content);
  node.signal("SIGKILL");
  await refused(content.port);
  expect((await caller.exchange("go on")).body).toBe("one");
  await gone(worker!);
});

test("worker in an endless loop ends when its supervisor was killed", async () => {
  const { node, content } = await servingNode({ busyMsMax: 2000 });
  const [worker] = node.workers;
  const cpuSeconds = async () => (await linuxUsage(worker!))?.cpuSeconds ?? Number.POSITIVE_INFINITY;
  const before = await cpuSeconds();
  get(content.port, "/hang").catch(() => {});
  await until(cpuSeconds, (seconds) => seconds > before + 0.2);
  node.signal("SIGKILL");
  await gone(worker!);
});
