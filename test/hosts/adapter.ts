/**
 * Stands in for `bun:test` where a suite runs on Node, by `node:test`, or on Deno, by `Deno.test` (test/hosts/suites.ts
 * bundles it so). It has what the suites use of it, no more.
 */
import { test as nodeTest } from "node:test";
import { format } from "node:util";

export { expect, spyOn } from "./expect.ts";

type Run = () => unknown;
type Define = (name: string, run: Run, timeoutMs?: number) => void;

/** A `describe`, or the file. */
interface Scope {
  readonly name: string;
  readonly parent: Scope | null;
  readonly beforeAll: Run[];
  readonly beforeEach: Run[];
  readonly afterEach: Run[];
  readonly afterAll: Run[];
  /** Of the tests in it, those that have not ended. */
  left: number;
  entered: Promise<void> | null;
}

interface Registration {
  readonly name: string;
  readonly ignored: boolean;
  run(): Promise<void>;
}

const timeoutMsDefault = 60_000;

const { Deno } = globalThis as { Deno?: { test(definition: object): void } };

function register({ name, ignored, run }: Registration): void {
  // What a suite leaves open, it shares between its tests on purpose.
  const lenient = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
  if (Deno === undefined) void nodeTest(name, { skip: ignored }, run);
  else Deno.test({ name, ignore: ignored, fn: run, ...lenient });
}

function newScope(name: string, parent: Scope | null): Scope {
  const hooks = { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
  return { name, parent, ...hooks, left: 0, entered: null };
}

let current = newScope(new URL(import.meta.url).pathname.replace(/^.*\/suites\/|\.mjs$/g, ""), null);
let skipping = false;

/** The scopes around a test, the file first. */
function around(scope: Scope | null): Scope[] {
  return scope === null ? [] : [...around(scope.parent), scope];
}

async function inOrder(runs: readonly Run[]): Promise<void> {
  for (const run of runs) await run();
}

async function runTest(scope: Scope, run: Run): Promise<void> {
  const scopes = around(scope);
  try {
    for (const each of scopes) {
      each.entered ??= inOrder(each.beforeAll);
      await each.entered;
    }
    for (const each of scopes) await inOrder(each.beforeEach);
    try {
      await run();
    } finally {
      for (const each of scopes.toReversed()) await inOrder(each.afterEach);
    }
  } finally {
    for (const each of scopes.toReversed()) {
      each.left -= 1;
      if (each.left === 0) await inOrder(each.afterAll);
    }
  }
}

async function inTime(run: () => Promise<void>, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  });
  await Promise.race([run(), late]).finally(() => clearTimeout(timer));
}

const define: Define = (name, run, timeoutMs = timeoutMsDefault) => {
  const scope = current;
  const ignored = skipping;
  if (!ignored) for (const each of around(scope)) each.left += 1;
  const names = [...around(scope).map((each) => each.name), name];
  register({
    name: names.join(" > "),
    ignored,
    run: () => inTime(() => runTest(scope, run), timeoutMs),
  });
};

function group(name: string, run: Run): void {
  const outer = current;
  current = newScope(name, outer);
  run();
  current = outer;
}

function skipped(run: () => void): void {
  const outer = skipping;
  skipping = true;
  run();
  skipping = outer;
}

/** `%s` and the like stand for what a row has at that place, `$key` for a field of its first. */
function rowName(name: string, row: readonly unknown[]): string {
  const places = name.match(/%[sdijfo]/g)?.length ?? 0;
  const fields = Object(row[0]) as Readonly<Record<string, unknown>>;
  return format(name, ...row.slice(0, places)).replaceAll(/\$(\w+)/g, (whole, key: string) =>
    key in fields ? String(fields[key]) : whole,
  );
}

function each(defineOne: Define) {
  return (rows: readonly unknown[]) =>
    (name: string, run: (...row: unknown[]) => unknown, timeoutMs?: number) => {
      for (const given of rows) {
        const row = Array.isArray(given) ? given : [given];
        defineOne(rowName(name, row), () => run(...row), timeoutMs);
      }
    };
}

export const test = Object.assign(define, {
  each: each(define),
  skipIf:
    (unwanted: boolean): Define =>
    (...definition) =>
      unwanted ? skipped(() => define(...definition)) : define(...definition),
});

export const describe = Object.assign(group, {
  each: each(group),
  skipIf:
    (unwanted: boolean): typeof group =>
    (name, run) =>
      unwanted ? skipped(() => group(name, run)) : group(name, run),
});

export const beforeAll = (run: Run): void => void current.beforeAll.push(run);
export const beforeEach = (run: Run): void => void current.beforeEach.push(run);
export const afterEach = (run: Run): void => void current.afterEach.push(run);
export const afterAll = (run: Run): void => void current.afterAll.push(run);
