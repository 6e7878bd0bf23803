/** What is wrong with a filter's options, in the words in which the config would say it. */
import { check } from "../config/check.ts";
import { readDocument } from "../config/document.ts";
import { Report } from "../config/problem.ts";
import { SourceFile } from "../config/source.ts";
import type { Problem } from "../snapshot.ts";
import type { FilterDefinition } from "../types.ts";

/** Throws an Error with every problem. */
export function checkOptions({ name, options: schema }: FilterDefinition, options: unknown): void {
  const report = new Report();
  const file = new SourceFile("options", JSON.stringify(options) ?? "null");
  const node = readDocument(file, { report, environment: {} });
  if (node !== null) check(schema, { node, path: [], key: node.range }, report);
  if (!report.empty) throw optionsError(name, report.list());
}

/** `problems` of a whole config: their paths are shortened to what stands in the options of the filter. */
export function optionsError(name: string, problems: readonly Problem[]): Error {
  const lines = problems.map(({ path, message, hints }) => {
    const end = path.lastIndexOf(`.${name}.`);
    const short = end < 0 ? path : path.slice(end + name.length + 2);
    return ["  ", short === "" ? "" : `${short}: `, message, ...hints.map((hint) => `; ${hint}`)].join("");
  });
  return new Error(`cannot test the filter "${name}" like this:\n${lines.join("\n")}`);
}
