import { expect, test } from "bun:test";
import { formatProblem, formatSummary, type Paint, pathName, Report } from "../../src/config/problem.ts";
import { SourceFile } from "../../src/config/source.ts";
import type { Problem } from "../../src/snapshot.ts";
import { noPaint } from "./fixture.ts";

const line = "          - rate-limit: { requests: 100, per: 1 sec }";

function problemAt(text: string, word: string): Problem {
  const file = new SourceFile("clearway.yaml", text);
  const start = text.indexOf(word);
  const report = new Report();
  report.add({ file, start, end: start + word.length }, ["a", 1, "b-c"], {
    message: "cannot read it",
    hints: ["try it"],
  });
  return report.list()[0]!;
}

test("formatProblem prints place, path, message, the line and a mark below it", () => {
  const problem = problemAt(`${"\n".repeat(13)}${line}\n`, "1 sec");
  expect(formatProblem(problem, noPaint)).toBe(
    [
      "clearway.yaml:14:47  a[1].b-c",
      "  cannot read it",
      `  14 | ${line}`,
      "     |                                               ^^^^^",
      "  try it",
    ].join("\n"),
  );
});

test("formatProblem paints each part with its own colour", () => {
  const paint = (name: string) => (text: string) => `<${name}:${text}>`;
  const colours: Paint = {
    place: paint("place"),
    path: paint("path"),
    message: paint("message"),
    quiet: paint("quiet"),
    mark: paint("mark"),
  };
  expect(formatProblem(problemAt("a: b", "b"), colours)).toBe(
    [
      "<place:clearway.yaml:1:4>  <path:a[1].b-c>",
      "  <message:cannot read it>",
      "  <quiet:1 |> a: b",
      "  <quiet:  |>    <mark:^>",
      "  try it",
    ].join("\n"),
  );
});

test("formatProblem keeps tabs in front of the mark, so that it stands below the word", () => {
  expect(formatProblem(problemAt("\ta:\tb", "b"), noPaint)).toContain("  1 | \ta:\tb\n    | \t  \t^");
});

test("formatProblem leaves out a line that nobody could read", () => {
  const problem = problemAt(`a: ${"x".repeat(500)} b`, " b");
  expect(problem.excerpt).toBeNull();
  expect(formatProblem(problem, noPaint)).toBe("clearway.yaml:1:504  a[1].b-c\n  cannot read it\n  try it");
});

test("Report makes visible what a terminal would obey", () => {
  const problem = problemAt("a: \u001b[2Jb\u202ec", "b");
  expect(problem.excerpt?.text).toBe("a: \uFFFD[2Jb\uFFFDc");
});

test("Report keeps the order of the files and sorts the places in each", () => {
  const report = new Report();
  for (const name of ["b.yaml", "a.yaml"]) {
    const file = new SourceFile(name, "one\ntwo\n");
    for (const start of [4, 1, 0]) report.add({ file, start, end: start + 1 }, [], { message: "m" });
  }
  expect(report.list().map(({ file, line, column }) => `${file}:${line}:${column}`)).toEqual([
    ...["b.yaml:1:1", "b.yaml:1:2", "b.yaml:2:1"],
    ...["a.yaml:1:1", "a.yaml:1:2", "a.yaml:2:1"],
  ]);
});

test("pathName quotes the keys that are no plain words", () => {
  expect(pathName(["listeners", "web", "routes", 1, "./a.ts", "x"])).toBe(
    'listeners.web.routes[1]["./a.ts"].x',
  );
  expect(pathName([])).toBe("");
});

test("formatSummary counts problems, and files when there are several", () => {
  const problem = problemAt("a: b", "b");
  expect(formatSummary([])).toBe("0 problems");
  expect(formatSummary([problem])).toBe("1 problem in clearway.yaml");
  expect(formatSummary([problem, { ...problem, file: "b.yaml" }])).toBe("2 problems in 2 files");
});

test("SourceFile finds every position, with either line end and without a byte order mark", () => {
  const file = new SourceFile("a", "\uFEFFab\r\nc\n");
  expect([0, 2, 4, 5, 6, 99].map((offset) => file.position(offset))).toEqual([
    { line: 1, column: 1 },
    { line: 1, column: 3 },
    { line: 2, column: 1 },
    { line: 2, column: 2 },
    { line: 3, column: 1 },
    { line: 3, column: 1 },
  ]);
  expect([1, 2, 3, 4].map((number) => file.line(number))).toEqual(["ab", "c", "", ""]);
});
