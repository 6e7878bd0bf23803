/** The program as users start it, from its source and built. */
import { afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freePort } from "../free-ports.ts";
import { until } from "../program.ts";
import { gone, newFile, refused, TestNode } from "./test-node.ts";

const root = join(import.meta.dir, "../..");
const source = [process.execPath, join(root, "src/main.ts")];
const binary = [join(mkdtempSync(join(tmpdir(), "clearway-binary-")), "clearway")];
const nodes: TestNode[] = [];

beforeAll(async () => {
  const build = Bun.spawn([process.execPath, join(root, "build/binary.ts"), binary[0]!], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = await new Response(build.stdout).text();
  expect([await build.exited, text]).toEqual([0, expect.stringMatching(/clearway {2}\d+\.\d MiB\n$/)]);
}, 120_000);

afterEach(async () => {
  for (const node of nodes) node.signal("SIGKILL");
  await Promise.all(nodes.map((node) => node.ended));
  nodes.length = 0;
});

const programs = [
  { name: "from source", command: source },
  { name: "built", command: binary },
];

interface Ports {
  readonly port: number;
  readonly admin: number;
}

function config({ port, admin }: Ports, body: string): string {
  return `admin: 127.0.0.1:${admin}
listeners:
  web:
    bind: 127.0.0.1:${port}
    routes:
      - match: { path: /hello }
        respond: { status: 200, body: ${body} }
`;
}

async function freePorts(): Promise<Ports> {
  return { port: await freePort(), admin: await freePort() };
}

function start(command: readonly string[], text: string): TestNode {
  const file = newFile("clearway.yaml", text);
  const node = new TestNode([...command, "run", "-c", file], file);
  nodes.push(node);
  return node;
}

async function serving(command: readonly string[]): Promise<Ports & { readonly node: TestNode }> {
  const ports = await freePorts();
  const node = start(command, config(ports, "one"));
  await node.said(/tcp_migrate_req/);
  return { node, ...ports };
}

async function hello(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/hello`, { keepalive: false })).text();
}

for (const { name, command } of programs) {
  test(`clearway ${name} serves, reloads on save, and ends with exit code 0 at SIGTERM`, async () => {
    const { node, port, admin } = await serving(command);
    expect(node.text).toContain(`listener web on http://127.0.0.1:${port} (1 route)\n`);
    expect(await hello(port)).toBe("one");
    await node.save(config({ port, admin }, "two"), /"the configuration is live"/);
    expect(await hello(port)).toBe("two");
    await until(
      async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text(),
      (text) => /clearway_requests_total\{listener="web",route="\/hello",.*status="200".*\} 2\n/.test(text),
    );
    node.signal("SIGTERM");
    expect(await node.ended).toBe(0);
    expect(node.text).not.toContain("Error");
  });

  test(`clearway ${name} leaves no process behind when its supervisor is killed`, async () => {
    const { node, port } = await serving(command);
    const workers = node.workers;
    expect(workers).toHaveLength(1);
    node.signal("SIGKILL");
    for (const pid of workers) await gone(pid);
    await refused(port);
  });
}

test("clearway run replaces a killed worker that listened on a unix socket", async () => {
  const admin = await freePort();
  const unixPath = join(mkdtempSync(join(tmpdir(), "clearway-run-")), "clearway.sock");
  const text = config({ port: 0, admin }, "one").replace("127.0.0.1:0", `unix:${unixPath}`);
  const node = start(source, text);
  await node.said(/tcp_migrate_req/);
  const unix = async () => (await fetch("http://store/hello", { unix: unixPath, keepalive: false })).text();
  expect(await unix()).toBe("one");
  process.kill(node.workers[0]!, "SIGKILL");
  await node.said(/worker 1 ended \(SIGKILL\): \d+ connections? lost/);
  while ((await fetch(`http://127.0.0.1:${admin}/readyz`)).status !== 200) await Bun.sleep(20);
  expect(await unix()).toBe("one");
});

test("clearway run shows a broken save with file, line, column and the lines, and /problems has it", async () => {
  const ports = await freePorts();
  const node = start(source, `${config(ports, "one")}log: { format: text }\n`);
  await node.said(/tcp_migrate_req/);
  await node.save(`${config(ports, "two")}drain: 1 sec\n`, /keeps serving/);
  expect(node.text).toContain(`${node.file}:8:8  drain\n  cannot read "1 sec": wanted a duration`);
  expect(node.text).toContain("  8 | drain: 1 sec\n");
  expect(node.text).toContain(`clearway: ${node.file} has 1 problem; version 1 keeps serving\n`);
  expect(await hello(ports.port)).toBe("one");
  const { problems } = (await (await fetch(`http://127.0.0.1:${ports.admin}/problems`)).json()) as {
    problems: unknown[];
  };
  const check = Bun.spawn([...source, "check", "--json", "-c", node.file], { stdout: "pipe" });
  expect(await new Response(check.stdout).json()).toEqual({ problems });
});

test("clearway run says in the log what is wrong, in lines that a program can read", async () => {
  const { node, ...ports } = await serving(source);
  await node.save(`${config(ports, "two")}drain: 1 sec\n`, /keeps serving/);
  const lines = node.text.split("\n").filter((line) => line.startsWith("{"));
  const problem = lines.map((line) => JSON.parse(line)).find(({ line }) => line === 8);
  expect(problem).toMatchObject({ level: "error", file: node.file, line: 8, column: 8, path: "drain" });
  expect(problem.message).toStartWith(`${node.file}:8:8 drain: cannot read "1 sec"`);
});

test("clearway run prints every problem of a wrong file and exits 1", async () => {
  const node = start(source, `${config(await freePorts(), "one")}drain: 1 sec\nlistners: {}\n`);
  expect(await node.ended).toBe(1);
  expect(node.text).toContain(":8:8  drain\n");
  expect(node.text).toContain(":9:1  listners\n");
  expect(node.text).toEndWith(`clearway: cannot start: ${node.file} has 2 problems\n`);
});

test("clearway run exits 1 with one line for a missing file, a folder, and a taken port", async () => {
  const { port } = await serving(source);
  const taken = start(source, config({ port, admin: await freePort() }, "one"));
  const missing = new TestNode([...source, "run", "-c", "/nowhere/clearway.yaml"], "");
  const folder = new TestNode([...source, "run", "-c", tmpdir()], "");
  nodes.push(missing, folder);
  expect(await taken.ended).toBe(1);
  expect(taken.text).toMatch(
    /^clearway: cannot listen on 127\.0\.0\.1:\d+: the address is in use \(listeners\.web\.bind, .*:\d+\)\n$/,
  );
  expect(await missing.ended).toBe(1);
  expect(missing.text).toMatch(/^clearway: cannot read "\/nowhere\/clearway\.yaml".*\n$/);
  expect(await folder.ended).toBe(1);
  expect(folder.text).toMatch(/^clearway: cannot read .*\n$/);
});

test("clearway built reads no .env and no bunfig.toml of the folder it stands in", async () => {
  const file = newFile(
    "clearway.yaml",
    config({ port: 8080, admin: 9900 }, '"$' + '{CLEARWAY_TEST_BODY:-default}"'),
  );
  writeFileSync(join(dirname(file), ".env"), "CLEARWAY_TEST_BODY=from-env\n");
  writeFileSync(join(dirname(file), "bunfig.toml"), 'preload = ["./spoil.ts"]\n');
  writeFileSync(join(dirname(file), "spoil.ts"), "throw new Error('preloaded')\n");
  const check = Bun.spawn([...binary, "check", "--resolved"], {
    cwd: dirname(file),
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await new Response(check.stdout).text()).toContain("body: default\n");
  expect([await check.exited, await new Response(check.stderr).text()]).toEqual([0, ""]);
});
