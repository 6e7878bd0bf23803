/** A folder of rows in words and pictures: `summary.md` and its charts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { drawCharts, writeCharts } from "./charts/charts.ts";
import { describeFacts, readFolder } from "./results.ts";
import { markdownTable } from "./table.ts";
import { targetsTable } from "./targets.ts";
import type { Report, Workload } from "./workload.ts";
import { compare } from "./workloads/compare.ts";
import { workloads } from "./workloads.ts";

/** Writes `summary.md` and the charts from every file of rows in the folder. */
export function writeSummary(
  folder: string,
  from: readonly Workload<object>[] = [...workloads, compare as unknown as Workload<object>],
): void {
  const results = readFolder(folder);
  const sections: string[] = ["# Clearway beside its peers", ""];
  const targets = targetsTable(results);
  if (targets.rows.length > 0) sections.push(markdownTable(targets));
  for (const workload of from) {
    const kept = results.get(workload.name);
    if (kept === undefined) continue;
    sections.push(`## ${workload.name}: ${workload.title}`, "", ...describeFacts(kept.facts), "");
    sections.push(describeReport(workload.report(kept.rows)));
  }
  writeFileSync(join(folder, "summary.md"), `${sections.join("\n").trimEnd()}\n`);
  writeCharts(join(folder, "charts"), drawCharts(results));
}

function describeReport(report: Report): string {
  const tables = report.tables.map(markdownTable);
  const problems = report.problems.map((problem) => `- **Problem:** ${problem}`);
  return [...tables, ...problems, ""].join("\n");
}
