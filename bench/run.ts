/** `npm run bench -- [workload ...]`: measures, prints the tables, keeps the raw rows and their summary. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findClearway, readFacts, repository } from "./machine.ts";
import { findPeers } from "./peers.ts";
import { findProgram, killAll, pinSelf } from "./processes.ts";
import { describeFacts, RowFile, resultsName, writeSummary } from "./results.ts";
import { textTable } from "./table.ts";
import { removeAllFolders } from "./variants.ts";
import type { BenchOptions, Workload } from "./workload.ts";
import { balance } from "./workloads/balance.ts";
import { connections } from "./workloads/connections.ts";
import { http1 } from "./workloads/http1.ts";
import { kill } from "./workloads/kill.ts";
import { latency } from "./workloads/latency.ts";
import { memory } from "./workloads/memory.ts";
import { reload } from "./workloads/reload.ts";
import { retry } from "./workloads/retry.ts";
import { routes } from "./workloads/routes.ts";
import { soak } from "./workloads/soak.ts";
import { start } from "./workloads/start.ts";
import { tls } from "./workloads/tls.ts";
import { workers } from "./workloads/workers.ts";

const workloads = [
  http1,
  tls,
  latency,
  start,
  memory,
  connections,
  reload,
  routes,
  balance,
  retry,
  workers,
  kill,
  soak,
] as readonly Workload<object>[];

const usage = `npm run bench -- [${workloads.map((each) => each.name).join("|")} ...] [--quick] [--rounds N] [--minutes N] [--seconds N] [--only CASE]... [--clearway PROGRAM]`;

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      minutes: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      clearway: { type: "string" },
    },
  });
  const unknown = positionals.find((name) => !workloads.some((each) => each.name === name));
  if (unknown !== undefined) throw new Error(`no workload "${unknown}"; wanted ${usage}`);
  const chosen = workloads.filter(({ name, quickSeconds }) =>
    positionals.length > 0 ? positionals.includes(name) : !values.quick || quickSeconds !== undefined,
  );
  return {
    ...values,
    chosen,
    rounds: count("rounds", values.rounds),
    minutes: count("minutes", values.minutes),
    seconds: count("seconds", values.seconds),
  };
}

function count(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new Error(`cannot read --${name} "${text}": wanted a whole number from 1 on`);
  return Number(text);
}

/** nginx is also the backend, wrk the load: without them nothing can be measured. Another peer only misses its rows. */
function namePeers(): BenchOptions["peers"] {
  const { found, missing } = findPeers();
  const wrk = findProgram("wrk") === null;
  for (const { name, get } of missing) console.log(`missing: ${name} (${get})`);
  if (wrk) console.log("missing: wrk (apt-get install wrk)");
  if (wrk || !found.has("nginx")) throw new Error("cannot measure without nginx and wrk");
  return new Set(found.keys());
}

/** When a workload that begins now begins no further round; null for never. */
function endOf({ quickSeconds }: Workload<object>, options: ReturnType<typeof readOptions>): number | null {
  const { minutes, quick } = options;
  if (minutes !== null) return performance.now() + minutes * 60_000;
  return quick && quickSeconds !== undefined ? performance.now() + quickSeconds * 1000 : null;
}

/** The command as another machine would type it. */
function describeCommand(options: ReturnType<typeof readOptions>): string {
  const all = workloads.filter(({ quickSeconds }) => !options.quick || quickSeconds !== undefined);
  const isAll = options.chosen.length === all.length;
  const words = isAll ? [] : options.chosen.map((each) => each.name);
  if (options.quick) words.push("--quick");
  if (options.rounds !== null) words.push("--rounds", String(options.rounds));
  if (options.minutes !== null) words.push("--minutes", String(options.minutes));
  if (options.seconds !== null) words.push("--seconds", String(options.seconds));
  for (const name of options.only) words.push("--only", `"${name}"`);
  if (options.clearway !== undefined) words.push("--clearway PROGRAM");
  return ["npm run bench", ...(words.length > 0 ? ["--", ...words] : [])].join(" ");
}

async function main(): Promise<number> {
  const options = readOptions();
  const peers = namePeers();
  pinSelf();
  const clearway = findClearway(options.clearway);
  const facts = readFacts(clearway, describeCommand(options));
  console.log(describeFacts(facts).join("\n"), "\n");
  const size = options.quick ? "quick" : "full";
  const folder = join(repository, "bench", "results", resultsName(facts, size));
  const { rounds, seconds, only } = options;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  let problems = 0;
  for (const workload of options.chosen) {
    const file = new RowFile(folder, workload.name, facts);
    const rows: object[] = [];
    const endsAtMs = endOf(workload, options);
    for await (const row of workload.run({ size, rounds, seconds, only, clearway, peers, endsAtMs, say })) {
      rows.push(row);
      file.add(row);
    }
    const report = workload.report(rows);
    for (const table of report.tables) console.log(`\n${textTable(table)}`);
    for (const problem of report.problems) console.log(`problem: ${problem}`);
    problems += report.problems.length;
    writeSummary(folder, workloads);
  }
  console.log(`raw rows and summary.md are in ${folder.slice(repository.length + 1)}`);
  return problems > 0 ? 1 : 0;
}

process.on("exit", () => {
  killAll();
  removeAllFolders();
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
try {
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
