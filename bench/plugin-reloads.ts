/**
 * What reloads of a plugin leave in a worker's memory: `bun bench/plugin-reloads.ts small|large bounded|unbounded [RELOADS]`.
 * A real worker gets snapshots in which the plugin's code differs each time, and requests in between, without pause; with
 * `bounded` the guard replaces it. Prints its memory, and what the requests got.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../src/config/load.ts";
import { certificates } from "../src/host/certificates/node.ts";
import { systemClock as clock } from "../src/host/clock/node.ts";
import { systemFiles as files } from "../src/host/files/node.ts";
import { host } from "../src/host/index.ts";
import { systemRandom } from "../src/host/random/node.ts";
import { filterFinder } from "../src/node/filter-finder.ts";
import { PluginGuard } from "../src/node/guard/plugin-guard.ts";
import { UserFilters } from "../src/node/plugins/user-filters.ts";
import { WorkerPool } from "../src/node/worker-pool.ts";
import { type WorkerPlace, WorkerProcess } from "../src/node/worker-process.ts";
import { pluginImports } from "../src/plugin-imports.ts";
import { NodeMemory, nodeMemoryBytes } from "../src/runtime/node-memory/index.ts";
import type { Snapshot } from "../src/snapshot.ts";
import type { Log } from "../src/types.ts";
import { repository } from "./machine.ts";

const [size = "small", bound = "bounded", wanted = "200"] = process.argv.slice(2);
const reloads = Number(wanted);
const shownEvery = Math.max(1, reloads / 10);
const port = 18_473;

const plugin = `import { defineFilter, z } from "clearway/plugin";
${size === "large" ? 'import * as yaml from "yaml";' : "const yaml = null;"}
export default defineFilter({
  name: "tenant",
  summary: "Names the tenant",
  options: z.strictObject({ header: z.string() }),
  middleware: ({ header }) => async (c, next) => {
    await next();
    c.header(header, "VERSION-0" + (yaml === null ? "" : yaml.stringify({ a: 1 }).length));
  },
});
`;

const folder = mkdtempSync(join(repository, "node_modules", ".plugin-reloads-"));
writeFileSync(join(folder, "tenant.ts"), plugin);
const file = join(folder, "clearway.yaml");
writeFileSync(
  file,
  `listeners: { web: { bind: "127.0.0.1:${port}", routes: [{ filters: [./tenant.ts: { header: x-tenant }], respond: { body: ok } }] } }`,
);

const userFilters = new UserFilters(await host.userCode(pluginImports));
const { snapshot, problems } = await loadConfig({
  ...{ file, files, certificates, clock, environment: {}, version: 1 },
  findFilters: filterFinder({
    ...{ builtIn: new Map(), clock, families: async () => [], userFilters: async () => userFilters },
  }),
});
if (snapshot === null) throw new Error(JSON.stringify(problems));
const [code] = snapshot.plugins;
if (code?.source.kind !== "bundle") throw new Error("wanted a bundle");
const bundle = code.source;

const random = systemRandom();
const processes = host.processes(join(repository, "src/main.ts"));
const memory = (await host.createSharedMemory(nodeMemoryBytes))!;
const start = (place: WorkerPlace) => new WorkerProcess({ processes, clock, nodeId: "bench", memory }, place);
const say = (text: string) => console.error(text);
const log: Log = { debug: () => {}, info: say, warn: say, error: say };
let live: Snapshot | null = null;
let guard: PluginGuard | null = null;
const pool = new WorkerPool(
  {
    ...{ clock, log, start },
    onMeasured: () => {},
    onEjections: () => {},
    find: async () => [],
    onSilent: (process) => guard?.silent(process),
    onEnded: () => null,
  },
  [start({ number: 1, seat: 0 })],
);
if (bound === "bounded") {
  guard = new PluginGuard({
    ...{ clock, log, pool, memory: new NodeMemory(memory, random), totals: () => [] },
    usage: (pid) => processes.usage(pid),
    live: () => live,
    change: () => {},
    onRolledBack: () => {},
    onForgotten: () => {},
  });
}

async function reload(version: number): Promise<void> {
  const text = bundle.text.replace("VERSION-0", `VERSION-${version}`);
  const next = { ...code!, version: `${version}`, source: { ...bundle, text } };
  const checked = { ...snapshot!, version, plugins: [next] };
  const result = await pool.apply(checked);
  if (result?.ok !== true) throw new Error(JSON.stringify(result));
  live = checked;
  guard?.applied(checked);
}

async function residentMib(): Promise<number> {
  // Let what can be collected be collected.
  await sleep(1500);
  const pid = pool.status[0]?.pid ?? 0;
  return Math.round(((await processes.usage(pid))?.residentBytes ?? 0) / 2 ** 20);
}

const answers = { right: 0, failed: 0 };
let asking = true;
async function ask(): Promise<void> {
  while (asking) {
    const right = await fetch(`http://127.0.0.1:${port}/`).then(
      async (response) => (await response.text()) === "ok" && response.headers.get("x-tenant") !== null,
      () => false,
    );
    if (right) answers.right += 1;
    else answers.failed += 1;
    await sleep(2);
  }
}

await reload(1);
const asked = [ask(), ask()];
const base = await residentMib();
console.log(`${size} ${bound}: bundle ${Math.round(bundle.text.length / 1024)} KiB; 0 reloads: ${base} MiB`);
for (let version = 2; version <= reloads + 1; version++) {
  await reload(version);
  if (guard !== null && version % 25 === 0) await sleep(1100);
  if ((version - 1) % shownEvery === 0) console.log(`${version - 1} reloads: ${await residentMib()} MiB`);
}
asking = false;
await Promise.all(asked);
console.log(`requests answered rightly: ${answers.right}, failed: ${answers.failed}`);
guard?.close();
pool.kill();
rmSync(folder, { recursive: true });
process.exit(0);
