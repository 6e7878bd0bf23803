/** `npm run bench -- [workload ...]`: measures, prints the tables, keeps the raw rows and their summary. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drawCharts, writeCharts } from "./charts/charts.ts";
import { findClearway, readFacts, repository } from "./machine.ts";
import { describeCommand, endOf, type Options, readOptions } from "./options.ts";
import { findPeers } from "./peers.ts";
import { findProgram, killAll, pinSelf } from "./processes.ts";
import { chartsFolder, figuresBlock, withFigures } from "./readme.ts";
import { describeFacts, newestRows, RowFile, readFolder, resultsName } from "./results.ts";
import { writeSummary } from "./summary.ts";
import { textTable } from "./table.ts";
import { targetsTable } from "./targets.ts";
import { removeAllFolders } from "./variants.ts";
import type { BenchOptions } from "./workload.ts";

/** nginx is also the backend, wrk the load: without them nothing can be measured. Another peer only misses its rows. */
function namePeers(): BenchOptions["peers"] {
  const { found, missing } = findPeers();
  const wrk = findProgram("wrk") === null;
  for (const { name, get } of missing) console.log(`missing: ${name} (${get})`);
  if (wrk) console.log("missing: wrk (apt-get install wrk)");
  if (wrk || !found.has("nginx")) throw new Error("cannot measure without nginx and wrk");
  return new Set(found.keys());
}

const resultsFolder = join(repository, "bench", "results");

/** Draws the charts and README's figures from the newest results that are kept. */
function drawNewest(): void {
  const results = newestRows(resultsFolder);
  const charts = drawCharts(results);
  writeCharts(join(repository, chartsFolder), charts);
  const path = join(repository, "README.md");
  const block = figuresBlock(results, new Set(charts.keys()));
  writeFileSync(path, withFigures(readFileSync(path, "utf8"), block));
  console.log(textTable(targetsTable(results)));
  console.log(`${charts.size} charts are in ${chartsFolder}, and the figures in README.md are of them`);
}

async function measure(options: Options): Promise<number> {
  const peers = namePeers();
  pinSelf();
  const found = findClearway(options.clearway);
  const clearway = options.compare === undefined ? found : { ...found, description: "both built anew" };
  const facts = readFacts(clearway, describeCommand(options));
  console.log(describeFacts(facts).join("\n"), "\n");
  const size = options.quick ? "quick" : "full";
  const folder = join(resultsFolder, resultsName(facts, size));
  const { rounds, seconds, only, compare = null } = options;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const shared = { size, rounds, seconds, only, clearway, peers, compare, say } as const;
  let problems = 0;
  for (const workload of options.chosen) {
    const file = new RowFile(folder, workload.name, facts);
    const rows: object[] = [];
    try {
      for await (const row of workload.run({ ...shared, endsAtMs: endOf(workload, options) })) {
        rows.push(row);
        file.add(row);
      }
    } catch (error) {
      // What the other workloads have to say is not lost with this one.
      problems++;
      console.log(`problem: ${workload.name} ended early: ${(error as Error).message}`);
    }
    if (rows.length === 0) continue;
    const report = workload.report(rows);
    for (const table of report.tables) console.log(`\n${textTable(table)}`);
    for (const problem of report.problems) console.log(`problem: ${problem}`);
    problems += report.problems.length;
    writeSummary(folder);
  }
  const targets = targetsTable(readFolder(folder));
  if (targets.rows.length > 0) console.log(`\n${textTable(targets)}`);
  console.log(`raw rows, summary.md and charts are in ${folder.slice(repository.length + 1)}`);
  return problems > 0 ? 1 : 0;
}

process.on("exit", () => {
  killAll();
  removeAllFolders();
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
try {
  const options = readOptions();
  if (options.work === "charts") drawNewest();
  else process.exitCode = await measure(options);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
