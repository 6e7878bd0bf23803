/** How problems are gathered and shown. */
import type { CodePlace } from "../machine.ts";
import type { Problem } from "../snapshot.ts";
import { excerptOf, type Range } from "./source.ts";

/** More are counted, not kept: nobody reads a thousand. */
export const problemsMax = 100;

export type Path = readonly (string | number)[];

/** Colours are the caller's business; each function returns its text, painted or as it was. */
export interface Paint {
  readonly place: (text: string) => string;
  readonly path: (text: string) => string;
  readonly message: (text: string) => string;
  readonly quiet: (text: string) => string;
  readonly mark: (text: string) => string;
}

/** Gathers every problem of one load. */
export class Report {
  private readonly kept: Problem[] = [];
  /** Places and messages: an alias leads to the same place again and again. */
  private readonly said = new Set<string>();
  private count = 0;

  add(range: Range, path: Path, what: { message: string; hints?: readonly string[] }): void {
    const excerpt = excerptOf(range);
    this.keep({
      file: range.file.name,
      ...range.file.position(range.start),
      path: pathName(path),
      message: printable(what.message),
      hints: (what.hints ?? []).map(printable),
      excerpt: excerpt === null ? null : { ...excerpt, text: printable(excerpt.text) },
    });
  }

  /** A problem in a file that is no config. */
  addPlaced(place: CodePlace, path: Path, what: { message: string; hints: readonly string[] }): void {
    const { file, line, column, text, length } = place;
    this.keep({
      ...{ file, line, column },
      path: pathName(path),
      message: printable(what.message),
      hints: what.hints.map(printable),
      excerpt: text === null ? null : { text: printable(text), length },
    });
  }

  /** A problem with a file as a whole, e.g. that it is not there. */
  addFile(file: string, message: string): void {
    this.keep({ file, line: 1, column: 1, path: "", message: printable(message), hints: [], excerpt: null });
  }

  get empty(): boolean {
    return this.count === 0;
  }

  /** File by file, from top to bottom; the last one says how many were not kept. */
  list(): Problem[] {
    const files = [...new Set(this.kept.map((problem) => problem.file))];
    const order = new Map(files.map((file, index) => [file, index]));
    const sorted = this.kept.toSorted(
      (a, b) => order.get(a.file)! - order.get(b.file)! || a.line - b.line || a.column - b.column,
    );
    const more = this.count - sorted.length;
    const file = sorted[0]?.file;
    if (more === 0 || file === undefined) return sorted;
    const message = `${more} more ${more === 1 ? "problem is" : "problems are"} not shown`;
    return [...sorted, { file, line: 1, column: 1, path: "", message, hints: [], excerpt: null }];
  }

  private keep(problem: Problem): void {
    const { file, line, column, message } = problem;
    this.said.add(JSON.stringify([file, line, column, message]));
    if (this.said.size === this.count) return;
    this.count = this.said.size;
    if (this.kept.length < problemsMax) this.kept.push(problem);
  }
}

/** `listeners.web.routes[1].filters[0].rate-limit.per` */
export function pathName(path: Path): string {
  let name = "";
  for (const step of path) {
    if (typeof step === "number") name += `[${step}]`;
    else if (!/^[A-Za-z0-9_-]+$/.test(step)) name += `[${JSON.stringify(step)}]`;
    else name += name === "" ? step : `.${step}`;
  }
  return printable(name);
}

/** A problem as lines of text, without a line end after the last. */
export function formatProblem(problem: Problem, paint: Paint): string {
  const whole = problem.excerpt === null && problem.path === "";
  const place = whole ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const head =
    problem.path === "" ? paint.place(place) : `${paint.place(place)}  ${paint.path(problem.path)}`;
  const lines = [head, `  ${paint.message(problem.message)}`];
  if (problem.excerpt !== null) {
    const { text, length } = problem.excerpt;
    const number = String(problem.line);
    // Tabs stay tabs, so that the mark stands below what it means whatever their width.
    const indent = text.slice(0, problem.column - 1).replace(/[^\t]/g, " ");
    lines.push(
      `  ${paint.quiet(`${number} |`)} ${text}`,
      `  ${paint.quiet(`${" ".repeat(number.length)} |`)} ${indent}${paint.mark("^".repeat(length))}`,
    );
  }
  for (const hint of problem.hints) lines.push(`  ${hint}`);
  return lines.join("\n");
}

/** `2 problems in clearway.yaml` */
export function formatSummary(problems: readonly Problem[]): string {
  const files = [...new Set(problems.map((problem) => problem.file))];
  const count = `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`;
  if (files.length === 0) return count;
  return `${count} in ${files.length === 1 ? files[0] : `${files.length} files`}`;
}

/** What a terminal would obey is made visible; the length stays. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, "\uFFFD");
}
