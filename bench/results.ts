/** Raw rows as JSON lines, under the facts that they were measured with, and the summary that is made from them. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Facts } from "./machine.ts";

const rowsEnd = ".jsonl";

/** `<date>-<commit>`; a quick run, and one of a changed checkout or of another program, say so. */
export function resultsName(facts: Facts, size: "full" | "quick"): string {
  const marks = [
    size === "quick" ? "-quick" : "",
    facts.state === "changed" ? "-dirty" : "",
    facts.command.includes("--clearway") ? "-other" : "",
  ];
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

/** The rows of one workload, and what they were measured with. */
export interface KeptRows {
  readonly facts: Facts;
  readonly rows: readonly object[];
}

/** Throws when the file does not begin with its facts, all of them. */
export function readRows(path: string): KeptRows {
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

/** All of a folder, by workload. */
export function readFolder(folder: string): Map<string, KeptRows> {
  const names = readdirSync(folder).filter((name) => name.endsWith(rowsEnd));
  return new Map(names.map((name) => [name.slice(0, -rowsEnd.length), readRows(join(folder, name))]));
}

/**
 * The newest rows of each workload, over all folders that are kept: those of a whole run (without `--only`) of what a
 * clean checkout builds.
 */
export function newestRows(folder: string): Map<string, KeptRows> {
  const newest = new Map<string, KeptRows>();
  for (const name of readdirSync(folder)) {
    if (!/^\d{4}-\d\d-\d\d-[0-9a-f]+$/.test(name)) continue;
    for (const [workload, kept] of readFolder(join(folder, name))) {
      const { command, startedAt } = kept.facts;
      const known = newest.get(workload)?.facts.startedAt ?? "";
      if (!command.includes("--only") && startedAt > known) newest.set(workload, kept);
    }
  }
  return newest;
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
