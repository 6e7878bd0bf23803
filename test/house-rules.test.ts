/**
 * The rules of the house that a machine can check, over the whole project. Each rule first proves on a small bad
 * snippet that it finds what it is for, and on its good twin that it finds nothing else.
 */
import { describe, expect, test } from "bun:test";
import { pages } from "../build/reference/pages.ts";
import { exceptions } from "./house-rules/exceptions.ts";
import { importCycleFindings, importTable, importTableFindings } from "./house-rules/imports.ts";
import {
  abbreviationFindings,
  anyFindings,
  booleanParameterFindings,
  defaultExportFindings,
  fileLengthFindings,
  functionLengthFindings,
  hostNameFindings,
  parameterFindings,
} from "./house-rules/shape.ts";
import { type Files, type Finding, parse, readTree, type Source } from "./house-rules/tree.ts";
import { commentFindings, exampleFindings, fileNameFindings, wordFindings } from "./house-rules/words.ts";

interface Rule {
  readonly name: string;
  find(files: Files, sources: readonly Source[]): Finding[];
  /** Each must be found; several files stand for one snippet. */
  readonly bad: readonly Files[];
  /** None may be found. */
  readonly good: readonly Files[];
}

const lines = (count: number) => "x();\n".repeat(count);

const rules: readonly Rule[] = [
  {
    name: "imports stay within the table",
    find: (_, sources) => importTableFindings(sources),
    bad: [
      { "src/runtime/a.ts": 'import { check } from "../config/check.ts";' },
      { "src/config/a.ts": 'import type { Runtime } from "../runtime/runtime.ts";' },
      { "src/config/a.ts": 'export * from "../node/admin.ts";' },
      { "src/filters/a.ts": 'import { Hono } from "hono";' },
      { "src/filters/a.ts": 'import { x } from "../units.ts";' },
      { "src/node/a.ts": 'const load = () => import("../cli/run.ts");' },
      { "src/node/a.ts": 'import { readFile } from "node:fs/promises";' },
      { "src/demo/a.ts": 'import { z } from "zod";' },
      { "src/types.ts": 'import type { Snapshot } from "./snapshot.ts";' },
      { "src/unknown/a.ts": "export const a = 1;" },
      { "plugins/a.ts": 'import { x } from "../src/runtime/match.ts";' },
    ],
    good: [
      { "src/runtime/a.ts": 'import type { Clock } from "../types.ts"; import { b } from "./http1/b.ts";' },
      { "src/main.ts": 'import { x } from "./node/x.ts"; import { y } from "./cli/y.ts";' },
      { "src/host/a.ts": 'import { readFile } from "node:fs/promises"; import { x } from "bun:jsc";' },
      { "src/filters/a.ts": 'import { z } from "../plugin.ts";' },
      { "src/config/a.ts": 'import { duration } from "../units.ts"; import { parseDocument } from "yaml";' },
      { "src/demo/a.ts": 'import { Hono } from "hono"; import { cors } from "hono/cors";' },
      { "test/a.test.ts": 'import { readFile } from "node:fs/promises";' },
    ],
  },
  {
    name: "imports make no cycle",
    find: (_, sources) => importCycleFindings(sources),
    bad: [
      { "src/a.ts": 'import "./b.ts";', "src/b.ts": 'import "./c.ts";', "src/c.ts": 'import "./a.ts";' },
      { "src/a.ts": 'import type { B } from "./b.ts";', "src/b.ts": 'import type { A } from "./a.ts";' },
      { "src/a.ts": 'import "./a.ts";' },
    ],
    good: [
      { "src/a.ts": 'import "./b.ts"; import "./c.ts";', "src/b.ts": 'import "./c.ts";', "src/c.ts": "" },
    ],
  },
  {
    name: "a file has fewer than 400 lines",
    find: fileLengthFindings,
    bad: [{ "src/a.ts": lines(400) }, { "test/a.test.ts": lines(400) }],
    good: [{ "src/a.ts": lines(399) }],
  },
  {
    name: "a function has fewer than 60 lines",
    find: (_, sources) => functionLengthFindings(sources),
    bad: [
      { "src/a.ts": `function f() {\n${lines(58)}}` },
      { "src/a.ts": `class A {\n m() {\n${lines(58)}}\n}` },
      { "src/a.ts": `const f = () => {\n${lines(58)}};` },
    ],
    good: [
      { "src/a.ts": `function f() {\n${lines(57)}}` },
      { "test/a.test.ts": `describe("a", () => {\n${lines(90)}});` },
    ],
  },
  {
    name: "a function has at most three parameters",
    find: (_, sources) => parameterFindings(sources),
    bad: [
      { "src/a.ts": "export function f(a: 1, b: 2, c: 3, d: 4) {}" },
      { "src/a.ts": "export interface A { m(a: 1, b: 2, c: 3, d: 4): void }" },
      { "src/a.ts": "export type F = (a: 1, b: 2, c: 3, d: 4) => void;" },
    ],
    good: [
      { "src/a.ts": "export function f(a: 1, b: 2, c: 3) {}" },
      { "src/a.ts": "export function f(bytes: Buffer, start: number, end: number, b: 2, c: 3) {}" },
    ],
  },
  {
    name: "no parameter is a boolean",
    find: (_, sources) => booleanParameterFindings(sources),
    bad: [
      { "src/a.ts": "export function f(last: boolean) {}" },
      { "src/a.ts": "export const f = (last = false) => last;" },
      { "src/a.ts": "export interface A { m(last: true | undefined): void }" },
    ],
    good: [{ "src/a.ts": "export function f(o: { last: boolean }): boolean { return o.last; }" }],
  },
  {
    name: "no any outside src/host/",
    find: (_, sources) => anyFindings(sources),
    bad: [
      { "src/a.ts": "export let a: any;" },
      { "src/cli/a.ts": "export const a = 1 as unknown as any[];" },
    ],
    good: [{ "src/host/a.ts": "export let a: any;" }, { "src/a.ts": 'export const any = "any";' }],
  },
  {
    name: "only filters export a default",
    find: (_, sources) => defaultExportFindings(sources),
    bad: [{ "src/a.ts": "export default 1;" }, { "src/a.ts": "export default function f() {}" }],
    good: [
      { "src/filters/a.ts": "export default 1;" },
      { "src/a.ts": "export function f(a: 1) { switch (a) { default: } }" },
    ],
  },
  {
    name: "only src/host/ names a host, the time or chance",
    find: (_, sources) => hostNameFindings(sources),
    bad: [
      { "src/a.ts": "export const a = Bun.version;" },
      { "src/a.ts": "export type A = Bun.Socket;" },
      { "src/a.ts": "export const a = process.env; export const b = { process: 1 };" },
      { "src/a.ts": "export const a = Date.now();" },
      { "src/a.ts": "export const a = new Date();" },
      { "src/a.ts": "export const a = Math.random();" },
      { "src/a.ts": "setTimeout(() => {}, 1);" },
      { "src/a.ts": "globalThis.setInterval(() => {}, 1);" },
      { "src/a.ts": "export const a = performance.now();" },
    ],
    good: [
      { "src/host/a.ts": "export const a = Bun.version; setTimeout(() => {}, 1);" },
      { "src/a.ts": "export const a = new Date(0); export const b = { process: 1 }.process;" },
      { "src/a.ts": "export const a = (process: { env: string }) => process.env;" },
      { "src/a.ts": 'export const a = "Bun.serve and Date.now()"; // Math.random' },
      { "test/a.test.ts": "export const a = Date.now();" },
    ],
  },
  {
    name: "names are written out",
    find: (_, sources) => abbreviationFindings(sources),
    bad: [
      { "src/a.ts": "export function f(req: Request) {}" },
      { "src/a.ts": "const idx = 1; export { idx as index };" },
      { "src/a.ts": "export interface A { cfg: string }" },
    ],
    good: [
      {
        "src/a.ts": "export const f = (c: { req: { url: string } }) => c.req.url;".replace(
          "req: {",
          "request: {",
        ),
      },
    ],
  },
  {
    name: "file names are kebab-case and say what is in them",
    find: fileNameFindings,
    bad: [{ "src/runtime/fieldTable.ts": "" }, { "src/cli/utils.ts": "" }, { "test/helpers/a.ts": "" }],
    good: [{ "src/runtime/field-table.ts": "", "README.md": "", "test/field-table.test.ts": "" }],
  },
  {
    name: "no work left behind, no silenced compiler, no path of one machine",
    find: wordFindings,
    bad: [
      { "src/a.ts": "// TODO: later" },
      { "README.md": "FIXME" },
      { "src/a.ts": "// @ts-ignore" },
      { "docs/a.md": "see /home/ann/clearway" },
      { "bench/results/a.md": "in /root/x" },
    ],
    good: [{ "src/a.ts": 'const path = "/homes/berlin";', "docs/a.md": "https://a.example/root/1" }],
  },
  {
    name: "comments say why and do not persuade",
    find: commentFindings,
    bad: [
      { "src/a.ts": "// simply adds one" },
      { "src/a.ts": "/**\n * Obviously fast.\n */" },
      { "README.md": "a blazing fast proxy" },
    ],
    good: [{ "src/a.ts": 'const text = "simply";' }],
  },
  {
    name: "every example has a README of at most 20 lines and a config",
    find: exampleFindings,
    bad: [
      { "examples/01-a/clearway.yaml": "" },
      { "examples/01-a/README.md": "" },
      { "examples/hello/README.md": "", "examples/hello/clearway.yaml": "" },
      { "examples/01-a/README.md": lines(21), "examples/01-a/clearway.yaml": "" },
    ],
    good: [{ "examples/01-a/README.md": lines(20), "examples/01-a/clearway.yaml": "" }],
  },
];

const root = new URL("..", import.meta.url).pathname;
const project = readTree(root);
const projectSources = await parse(project);

describe("house rules", () => {
  test("the project's own files are all read", () => {
    const code = ["src/types.ts", "src/plugin.ts", "src/host/clock/node.ts", "test/house-rules.test.ts"];
    const prose = [
      "README.md",
      "package.json",
      ".ci/run",
      "docs/architecture.md",
      "examples/01-hello/README.md",
    ];
    for (const path of [...code, ...prose]) expect(Object.keys(project)).toContain(path);
    expect(projectSources.find(({ path }) => path === "src/plugin.ts")?.imports).not.toBeEmpty();
  });

  for (const rule of rules) {
    describe(rule.name, () => {
      test("finds each bad snippet", async () => {
        for (const snippet of rule.bad) {
          const found = rule.find(snippet, await parse(snippet));
          expect({ snippet, found: found.length > 0 }).toEqual({ snippet, found: true });
        }
      });

      test("finds nothing in the good ones", async () => {
        for (const snippet of rule.good) {
          expect(rule.find(snippet, await parse(snippet)).map(sentence)).toEqual([]);
        }
      });

      test("holds in the project", () => {
        expect(rule.find(project, projectSources).map(sentence)).toEqual([]);
      });
    });
  }

  test("every exception is still needed", () => {
    const named = Object.values(exceptions).flatMap((rule) => [...rule.keys()]);
    const stale = named.filter((exception) => {
      const [path = "", name = ""] = exception.split(" ");
      return !(project[path] ?? "").includes(name);
    });
    expect(stale).toEqual([]);
  });

  test("every row of the import table names a file or folder", () => {
    const planned = new Set(["coordinator/", "dashboard/"]);
    const stale = Object.keys(importTable).filter(
      (row) => !planned.has(row) && !Object.keys(project).some((path) => path.startsWith(`src/${row}`)),
    );
    expect(stale).toEqual([]);
  });
});

function sentence({ path, line, message }: Finding): string {
  return `${path}:${line} ${message}`;
}

describe("docs/reference", () => {
  for (const { path, make } of pages) {
    test(`${path} says what the schemas say (npm run docs writes it anew)`, async () => {
      expect(project[path]).toBe(await make());
    });
  }
});
