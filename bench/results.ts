/** Raw rows as JSON lines, under the facts that they were measured with, and the summary that is made from them. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Facts } from "./machine.ts";
import { markdownTable } from "./table.ts";
import type { Report, Workload } from "./workload.ts";

/** `<date>-<commit>`; a quick run, and one of a changed checkout, say so. */
export function resultsName(facts: Facts, size: "full" | "quick"): string {
  const marks = [size === "quick" ? "-quick" : "", facts.state === "changed" ? "-dirty" : ""];
  return `${facts.startedAt.slice(0, 10)}-${facts.commit}${marks.join("")}`;
}

/** A file of rows; one of the same workload in the same folder is replaced. */
export class RowFile {
  readonly #path: string;

  constructor(folder: string, name: string, facts: Facts) {
    mkdirSync(folder, { recursive: true });
    this.#path = join(folder, `${name}.jsonl`);
    writeFileSync(this.#path, `${JSON.stringify(facts)}\n`);
  }

  add(row: object): void {
    appendFileSync(this.#path, `${JSON.stringify(row)}\n`);
  }
}

/** Throws when the file does not begin with its facts, all of them. */
export function readRows(path: string): { facts: Facts; rows: object[] } {
  const [first, ...rows] = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  const facts = first as Partial<Facts>;
  for (const name of [
    "startedAt",
    "machine",
    "versions",
    "clearway",
    "commit",
    "state",
    "command",
  ] as const) {
    if (facts.kind !== "facts" || !facts[name])
      throw new Error(`${path} does not say ${name}: no summary without it`);
  }
  return { facts: facts as Facts, rows };
}

/** Writes `summary.md` from every file of rows in the folder. */
export function writeSummary(folder: string, workloads: readonly Workload<object>[]): void {
  const names = new Set(readdirSync(folder));
  const sections: string[] = ["# Clearway beside its peers", ""];
  for (const workload of workloads) {
    if (!names.has(`${workload.name}.jsonl`)) continue;
    const { facts, rows } = readRows(join(folder, `${workload.name}.jsonl`));
    sections.push(`## ${workload.name}: ${workload.title}`, "", ...describeFacts(facts), "");
    sections.push(describeReport(workload.report(rows)));
  }
  writeFileSync(join(folder, "summary.md"), `${sections.join("\n").trimEnd()}\n`);
}

export function describeFacts(facts: Facts): string[] {
  const { cpu, cores, memory, kernel, loadAverage } = facts.machine;
  const versions = Object.entries(facts.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `- \`${facts.command}\`, ${facts.startedAt}`,
    `- commit ${facts.commit}${facts.state === "changed" ? ", with changes that are not committed" : ""}`,
    `- ${cpu}, ${cores} cores, ${memory}, ${kernel}, load average ${loadAverage.toFixed(1)} before the run`,
    `- ${versions.join(", ")}; Clearway ran ${facts.clearway}`,
  ];
}

function describeReport(report: Report): string {
  const tables = report.tables.map(markdownTable);
  const problems = report.problems.map((problem) => `- **Problem:** ${problem}`);
  return [...tables, ...problems, ""].join("\n");
}
