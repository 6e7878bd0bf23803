/** Nodes with several workers, as users start them. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLoad } from "../../bench/load.ts";
import { freePort } from "../free-ports.ts";
import { root, until } from "../program.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { gone, newFile, refused, TestNode } from "./test-node.ts";

const program = [process.execPath, join(root, "src/main.ts"), "run"];
const fakeNode = [process.execPath, join(import.meta.dir, "fake-node.ts")];
const request = "GET /hello HTTP/1.1\r\nhost: store\r\n\r\n";
const nodes: TestNode[] = [];

afterEach(async () => {
  for (const node of nodes) node.signal("SIGKILL");
  await Promise.all(nodes.map((node) => node.ended));
  nodes.length = 0;
});

function launch(command: readonly string[], file: string): TestNode {
  const node = new TestNode(command, file);
  nodes.push(node);
  return node;
}

interface NodeView {
  readonly workers: readonly {
    readonly number: number;
    readonly pid: number;
    readonly state: string;
    readonly version: number | null;
    readonly connections: number | null;
  }[];
  readonly listeners: readonly { readonly name: string; readonly connections: number }[];
}

interface Serving {
  readonly node: TestNode;
  readonly port: number;
  readonly admin: number;
  view(): Promise<NodeView>;
}

/** `more`: further lines of the listener, or after it. */
async function serving(workers: number, more = ""): Promise<Serving> {
  const admin = await freePort();
  const text = `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:0
    routes: [{ match: { path: /hello }, respond: { status: 200, body: one } }]
${more}`;
  const file = newFile("clearway.yaml", text);
  const node = launch([...program, "-c", file, "--workers", String(workers)], file);
  await node.said(/tcp_migrate_req/);
  const port = Number(/listener web on http:\/\/127\.0\.0\.1:(\d+) /.exec(node.text)?.[1]);
  const view = async () => (await fetch(`http://127.0.0.1:${admin}/snapshot`)).json() as Promise<NodeView>;
  return { node, port, admin, view };
}

function ready(admin: number): Promise<number> {
  return until(
    async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status,
    (status) => status === 200,
  );
}

/** Connections with a request behind them; the status of each first line. */
async function callers(port: number, count: number): Promise<{ open: RawClient[]; statuses: string[] }> {
  const [open, statuses]: [RawClient[], string[]] = [[], []];
  for (let caller = 0; caller < count; caller++) {
    const client = await RawClient.open(port);
    const { raw } = await client.exchange(request);
    open.push(client);
    statuses.push(raw.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length));
  }
  return { open, statuses };
}

function counts(statuses: readonly string[]): Record<string, number> {
  return Object.fromEntries(["200", "503"].map((one) => [one, statuses.filter((s) => s === one).length]));
}

test("run --workers: all serve one port, also one that the system chose, and are one node", async () => {
  const { node, port, admin, view } = await serving(3);
  expect(node.text).toMatch(
    /^clearway \S+ serves \S+ with 3 workers \(started in \d+ ms\)\n {2}listener web /,
  );
  expect(node.text.match(/listener web/g)).toHaveLength(1);
  expect(node.workers).toHaveLength(3);
  await callers(port, 60);
  const { workers, listeners } = await view();
  expect(workers.map(({ number, state, version }) => [number, state, version])).toEqual([
    [1, "serving", 1],
    [2, "serving", 1],
    [3, "serving", 1],
  ]);
  for (const { connections } of workers) expect(connections).toBeGreaterThan(0);
  expect(workers.reduce((sum, { connections }) => sum + connections!, 0)).toBe(60);
  expect(listeners[0]!.connections).toBe(60);
  const metrics = async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  await until(metrics, (text) => /clearway_requests_total\{.*\} 60\n/.test(text));
  expect(await metrics()).toMatch(/clearway_connections\{side="downstream"\} 60\n/);
  expect(await metrics()).toContain('process_cpu_seconds_total{process="worker-3"}');
});

test("run --workers: the limit of connections is the node's, exact, and a killed worker's are free again", async () => {
  const { node, port, admin, view } = await serving(3, "limits: { connections: 30 }\n");
  const { statuses } = await callers(port, 33);
  expect(statuses).toEqual([...Array(30).fill("200"), ...Array(3).fill("503")]);
  const killed = (await view()).workers.find(({ connections }) => connections! > 0)!;
  process.kill(killed.pid, "SIGKILL");
  await node.said(/ended \(SIGKILL\): \d+ connections? lost/);
  const lost = Number(/ended \(SIGKILL\): (\d+) connections? lost/.exec(node.text)?.[1]);
  expect(lost).toBe(killed.connections!);
  const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  expect(metrics).toContain(`clearway_worker_lost_connections_total ${lost}\n`);
  await ready(admin);
  expect(counts((await callers(port, lost + 2)).statuses)).toEqual({ "200": lost, "503": 2 });
});

test("run --workers: a listener's own limit is the node's too", async () => {
  const { port } = await serving(2, "    limits: { connections: 7 }\n");
  expect(counts((await callers(port, 10)).statuses)).toEqual({ "200": 7, "503": 3 });
});

test("run --workers: the log says which worker speaks", async () => {
  const { node, port } = await serving(2);
  const caller = await RawClient.open(port);
  caller.send("GET / HTTP/1.1\r\nhost : store\r\n\r\n");
  await node.said(/refused a request/);
  const line = node.text.split("\n").find((one) => one.includes("refused a request"))!;
  expect(JSON.parse(line)).toMatchObject({ process: "worker", worker: expect.any(Number) });
});

test("run: SIGUSR2 replaces every worker under load, and no request is lost", async () => {
  const { node, port, view } = await serving(2, "drain: 5s\n");
  const before = (await view()).workers.map(({ pid }) => pid);
  const wanted = { status: 200, body: Buffer.from("one") };
  const load = startLoad({ port, path: "/hello", connections: 12, requestsPerSecond: null, wanted });
  node.signal("SIGUSR2");
  await node.said(/all workers are replaced/);
  const after = await until(view, ({ workers }) => workers.length === 2);
  const result = await load.stop();
  expect(result.examples).toEqual([]);
  expect(result.failed).toBe(0);
  for (const { pid, state } of after.workers)
    expect([state, before.includes(pid)]).toEqual(["serving", false]);
  for (const pid of before) await gone(pid);
});

test("run: SIGUSR2 lets a request that is under way end, and shows its worker as leaving", async () => {
  const { node, port, view } = await serving(1, "drain: 60s\n");
  const caller = await RawClient.open(port);
  caller.send(request.slice(0, 30));
  await until(view, ({ workers }) => workers[0]!.connections === 1);
  node.signal("SIGUSR2");
  await node.said(/all workers are replaced/);
  expect((await view()).workers.map(({ number, state }) => [number, state])).toEqual([
    [1, "serving"],
    [1, "leaving"],
  ]);
  expect((await caller.exchange(request.slice(30))).body).toBe("one");
  await until(view, ({ workers }) => workers.length === 1);
});

test("run --workers: a unix path is never without a listener, whatever becomes of its worker", async () => {
  const unixPath = join(mkdtempSync(join(tmpdir(), "clearway-workers-")), "clearway.sock");
  const local = `  local:
    bind: unix:${unixPath}
    routes: [{ match: { path: /hello }, respond: { status: 200, body: two } }]
`;
  const { node, admin } = await serving(2, local);
  const ask = async () => (await fetch("http://store/hello", { unix: unixPath, keepalive: false })).text();
  expect(await ask()).toBe("two");
  let asking: "yes" | "no" = "yes";
  const asked = (async () => {
    while (asking === "yes") expect(await ask()).toBe("two");
  })();
  node.signal("SIGUSR2");
  await node.said(/all workers are replaced/);
  asking = "no";
  await asked;
  for (const pid of node.workers) process.kill(pid, "SIGKILL");
  await node.said(/worker 1 serves again/);
  await ready(admin);
  expect(await ask()).toBe("two");
  node.signal("SIGTERM");
  expect([await node.ended, existsSync(unixPath)]).toEqual([0, false]);
});

test("run --workers: all end with their supervisor, also when that is killed", async () => {
  const [killed, stopped] = await Promise.all([serving(3), serving(3)]);
  const pids = [...killed.node.workers, ...stopped.node.workers];
  expect(pids).toHaveLength(6);
  killed.node.signal("SIGKILL");
  stopped.node.signal("SIGTERM");
  for (const pid of pids) await gone(pid);
  expect(await stopped.node.ended).toBe(0);
  await refused(killed.port);
});

async function fakeServing(workers: number) {
  const content = { port: await freePort(), admin: await freePort(), body: "one" };
  const file = newFile("clearway.json", JSON.stringify(content));
  const node = launch([...fakeNode, file, String(workers)], file);
  await node.said(/tcp_migrate_req/);
  const ask = async (path = "/") =>
    (await fetch(`http://127.0.0.1:${content.port}${path}`, { keepalive: false })).text();
  return { node, content, ask };
}

for (const refuse of ["yes", "crash"]) {
  const what = refuse === "yes" ? "refuses" : "ends over";
  test(`run --workers: what one worker ${what} is taken back in all`, async () => {
    const { node, content, ask } = await fakeServing(3);
    const wrong = { ...content, body: "two", refuse, refuseIn: "2" };
    await node.save(JSON.stringify(wrong), /keeps serving/);
    await ready(content.admin);
    for (let request = 0; request < 40; request++) expect(await ask()).toBe("one");
    await node.save(JSON.stringify({ ...content, body: "two" }), /"the configuration is live"/);
    for (let request = 0; request < 40; request++) expect(await ask()).toBe("two");
  });
}

test("run --workers: while one worker hangs the others serve, and it is replaced", async () => {
  const { node, content, ask } = await fakeServing(4);
  ask("/hang").catch(() => {});
  const answered: string[] = [];
  const asking = Array.from({ length: 30 }, async () => {
    await ask().then(
      (text) => answered.push(text),
      // It came to the one that hangs, which is killed.
      () => {},
    );
  });
  await node.said(/gives no sign of life; it is killed/);
  expect(answered.length).toBeGreaterThan(0);
  await Promise.all(asking);
  await ready(content.admin);
  for (let request = 0; request < 20; request++) expect(await ask()).toBe("one");
});
