/** Users' own filters that do harm while they serve, in the real program with two workers. */
import { afterEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, rename, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import { answers, type Running, startClearway, until } from "./program.ts";
import { RawClient } from "./runtime/raw-client.ts";

const name = "./plugins/tenant.ts";
const nodes: Running[] = [];

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

/** A filter that says `value`, and does `harm` for requests that ask for it. */
const plugin = (value: string, harm = "") => `import { defineFilter, z } from "clearway/plugin";
const held: unknown[] = [];
export default defineFilter({
  name: "tenant",
  summary: "Names the tenant",
  options: z.strictObject({ header: z.string()${value === "strict" ? ", more: z.string().optional()" : ""} }),
  middleware: ({ header }) => async (c, next) => {
    await next();
    c.header(header, "${value}");
    if (c.req.path === "/harm") { ${harm} }
  },
});
`;

interface FilterShown {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly calls: number;
  readonly errors: number;
  readonly meanMs: number | null;
  readonly rollback: { readonly cause: string; readonly why: string; readonly heldOff: string } | null;
  readonly usedAt: readonly string[];
}

/** Serves version "one" of the plugin, then `harm` as version "two". */
async function node(harm: string, limits = "") {
  const folder = await mkdtemp(join(tmpdir(), "clearway-guard-"));
  const [web, admin] = (await freePorts(2)) as [number, number];
  await mkdir(join(folder, "plugins"));
  const save = async (path: string, text: string) => {
    await writeFile(join(folder, `${path}.new`), text);
    await rename(join(folder, `${path}.new`), join(folder, path));
  };
  const config = (header: string) => `admin: 127.0.0.1:${admin}
drain: 1s
${limits}
listeners:
  web:
    bind: 127.0.0.1:${web}
    routes:
      - match: { path: /* }
        filters: [${name}: { header: ${header} }]
        respond: { status: 200, body: ok }
`;
  await save("plugins/tenant.ts", plugin("one"));
  await save("clearway.yaml", config("x-tenant"));
  const running = startClearway(["run", "-c", "clearway.yaml", "--workers", "2"], { folder });
  nodes.push(running);
  await answers(`http://127.0.0.1:${admin}/readyz`, running);
  const says = async (header = "x-tenant") => {
    const answer = await fetch(`http://127.0.0.1:${web}/`, { keepalive: false }).catch(() => null);
    return answer?.headers.get(header) ?? null;
  };
  const json = async (path: string) =>
    (await (await fetch(`http://127.0.0.1:${admin}${path}`)).json()) as Record<string, unknown>;
  const shown = async () => ((await json("/snapshot")).filters as FilterShown[])[0]!;
  const metrics = async () => (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  const ready = () =>
    until(
      async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).status,
      (status) => status === 200,
    );
  await until(says, (value) => value === "one");
  const good = (await shown()).version;
  await save("plugins/tenant.ts", plugin("two", harm));
  await until(says, (value) => value === "two");
  const { version: bad } = await until(shown, ({ version }) => version !== good);
  const open = () => RawClient.open(web);
  return { running, save, config, says, json, shown, metrics, ready, open, admin, good, bad };
}

const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: store\r\n\r\n`;

type Node = Awaited<ReturnType<typeof node>>;

/** Connections with one answered request, and which worker has each: by its number of connections in /snapshot. */
async function callers({ open }: Node, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let caller = 0; caller < count; caller++) {
    const client = await open();
    expect((await client.exchange(request("/"))).raw).toStartWith("HTTP/1.1 200");
    clients.push(client);
  }
  return clients;
}

async function connectionsByWorker({ json }: Node): Promise<Map<number, number>> {
  const { workers } = (await json("/snapshot")) as {
    workers: { pid: number; connections: number }[];
  };
  return new Map(workers.map(({ pid, connections }) => [pid, connections]));
}

test("a plugin that loops loses its worker's requests alone, is named, and put back until it is saved again", async () => {
  const served = await node("for (;;) held.length = 0;");
  const clients = await callers(served, 24);
  const before = await connectionsByWorker(served);
  const [victim, ...others] = clients;
  victim!.send(request("/harm"));
  await until(served.shown, ({ state }) => state === "rolled-back");
  await served.ready();
  await until(served.running.output, (text) => /worker \d gives no sign of life/.test(text));
  const after = await connectionsByWorker(served);
  const [stayed] = [...before].filter(([pid]) => after.has(pid));
  expect(stayed).toBeDefined();
  const outcomes = await Promise.all(
    others.map((client) =>
      client.exchange(request("/")).then(
        ({ raw }) => raw.startsWith("HTTP/1.1 200"),
        () => false,
      ),
    ),
  );
  expect(outcomes.filter((answered) => answered)).toHaveLength(stayed![1]);
  for (const client of clients) client.close();

  const { good, bad } = served;
  const filter = await served.shown();
  expect(filter).toMatchObject({ version: good, rollback: { cause: "hang", heldOff: bad } });
  const said = `the plugin ${name} is rolled back: a worker gave no sign of life`;
  await until(served.running.output, (text) => text.includes(said));
  expect(await served.says()).toBe("one");
  const { problems } = (await served.json("/problems")) as { problems: { message: string; line: number }[] };
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ line: 9 });
  expect(problems[0]!.message).toContain(`its version ${bad} is held off until it is saved again`);
  const rollbacks = `clearway_plugin_rollbacks_total{filter="${name}",cause="hang"} 1\n`;
  expect(await served.metrics()).toContain(rollbacks);

  // The config alone does not bring the newer version back.
  await served.save("clearway.yaml", served.config("x-other"));
  await until(
    () => served.says("x-other"),
    (value) => value === "one",
  );
  expect((await served.shown()).state).toBe("rolled-back");

  await served.save("plugins/tenant.ts", plugin("three"));
  await until(
    () => served.says("x-other"),
    (value) => value === "three",
  );
  expect(await served.shown()).toMatchObject({ state: "serving", rollback: null });
  expect(await served.json("/problems")).toEqual({ problems: [] });
}, 120_000);

test("a plugin is put back also while both workers loop, and while one of those that restart is killed", async () => {
  const served = await node("for (;;) held.length = 0;");
  const before = [...(await connectionsByWorker(served)).keys()];
  const clients = await callers(served, 16);
  for (const client of clients) client.send(request("/harm"));
  const pids = () =>
    served
      .json("/snapshot")
      .then(({ workers }) => (workers as { pid: number | null }[]).map(({ pid }) => pid));
  const restarted = await until(pids, (now) => now.some((pid) => pid !== null && !before.includes(pid)));
  process.kill(restarted.find((pid) => pid !== null && !before.includes(pid))!, "SIGKILL");
  await until(served.shown, ({ state }) => state === "rolled-back");
  await served.ready();
  for (const client of clients) client.close();
  const now = await pids();
  expect(now.filter((pid) => pid === null || before.includes(pid))).toEqual([]);
  for (const client of await callers(served, 8)) {
    expect((await client.exchange(request("/harm"))).raw).toContain("one");
    client.close();
  }
  expect(await served.metrics()).toContain(
    `clearway_plugin_rollbacks_total{filter="${name}",cause="hang"} 1\n`,
  );
}, 120_000);

test("a plugin that throws much more since it was saved is put back, with nothing lost", async () => {
  const served = await node('throw new Error("boom");');
  const [client] = await callers(served, 1);
  const pids = [...(await connectionsByWorker(served)).keys()];
  for (let call = 0; call < 25; call++) {
    const { raw } = await client!.exchange(request("/harm"));
    if (raw.startsWith("HTTP/1.1 200")) break;
  }
  await until(served.shown, ({ state }) => state === "rolled-back");
  expect((await client!.exchange(request("/harm"))).raw).toStartWith("HTTP/1.1 200");
  client!.close();
  const { rollback, version } = await served.shown();
  expect([version, rollback?.cause]).toEqual([served.good, "errors"]);
  expect(rollback?.why).toMatch(/^\d+ of \d+ calls threw within 60 s, of the version before 0 of \d+$/);
  expect([...(await connectionsByWorker(served)).keys()]).toEqual(pids);
  const metrics = await served.metrics();
  expect(metrics).toMatch(
    new RegExp(`clearway_filter_errors_total{filter="${name}",version="${served.bad}"} 2`),
  );
  expect(metrics).toContain(
    `clearway_filter_duration_seconds_count{filter="${name}",version="${served.good}"}`,
  );
}, 120_000);

test("a plugin that hoards memory is put back, and its worker replaced by one that has none of it", async () => {
  const hoard = "for (let i = 0; i < 8; i++) held.push(Buffer.alloc(8 * 2 ** 20, 1));";
  const served = await node(hoard, "limits: { workerMemory: 256MiB }");
  const pids = [...(await connectionsByWorker(served)).keys()];
  const [client] = await callers(served, 1);
  for (let call = 0; call < 5; call++) await client!.exchange(request("/harm"));
  await until(served.shown, ({ state }) => state === "rolled-back");
  await until(
    async () => [...(await connectionsByWorker(served)).keys()],
    (now) => now.length === 2 && now.some((pid) => !pids.includes(pid)),
  );
  client!.close();
  expect((await served.shown()).rollback?.cause).toBe("memory");
  const said = /worker \d has \d+ MiB, wanted at most 256 MiB \(limits.workerMemory\)/;
  await until(served.running.output, (text) => said.test(text));
  expect(await served.says()).toBe("one");
}, 120_000);
