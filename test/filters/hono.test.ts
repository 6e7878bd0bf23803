/**
 * Each of Hono's middlewares that a config can name, twice: as Hono has it, on the host's own Request and Response,
 * and as the filter of a route, on the lightweight pair.
 */
import { afterEach, beforeEach, describe, expect, type Mock, spyOn, test } from "bun:test";
import { join } from "node:path";
import { honoFilters } from "../../src/filters/hono/index.ts";
import { leftOut } from "../../src/filters/hono/left-out.ts";
import { createFilters } from "../../src/runtime/live-filter.ts";
import type { FilterDefinition } from "../../src/types.ts";
import { root } from "../program.ts";
import { chainApp } from "../runtime/chain-app.ts";
import { type App, honoApp, onLightPair, onNativePair, type Wire } from "../runtime/fetch/both-pairs.ts";
import { testParts } from "../runtime/filter-parts.ts";
import type { HonoCase } from "./hono/case.ts";
import { casesOfBodies } from "./hono/cases-bodies.ts";
import { casesOfFields } from "./hono/cases-fields.ts";
import { casesOfWho } from "./hono/cases-who.ts";

const cases = { ...casesOfWho, ...casesOfBodies, ...casesOfFields };

/** Modules whose middleware is not called after them. */
const otherNames: Readonly<Record<string, string>> = { language: "languageDetector" };

/** Hono's own function behind the name of a filter, looked up without us. */
async function factoryOf(name: string): Promise<(...given: unknown[]) => never> {
  const [module = "", named] = name.replace("hono/", "").split("#");
  const exported: Record<string, unknown> = await import(`hono/${module}`);
  const wanted = (named ?? otherNames[module] ?? module.replaceAll("-", "")).toLowerCase();
  return exported[Object.keys(exported).find((one) => one.toLowerCase() === wanted)!] as () => never;
}

async function asHonoHasIt(name: string, { value, inside }: HonoCase): Promise<App> {
  const given = value === undefined ? [] : [value].flat();
  const middleware = (await factoryOf(name))(...structuredClone(given));
  return honoApp(inside === undefined ? [middleware] : [middleware, inside]);
}

async function asFilter(name: string, { value = null, inside }: HonoCase): Promise<App> {
  const definition = (await honoFilters.find(name)) as FilterDefinition;
  const place = { file: "clearway.yaml", line: 1 };
  const entries = [{ name, id: null, onError: "fail" as const, options: value, place }];
  const filters = new Map([[name, definition]]);
  if (inside !== undefined) {
    const options = { safeParse: () => ({ success: true }) };
    filters.set("inside", { name: "inside", summary: "", options, middleware: () => inside } as never);
    entries.push({ ...entries[0]!, name: "inside", options: null });
  }
  return chainApp(createFilters(entries, { ...testParts(), filters }, "web/orders"));
}

/** Without what chance and time made. */
function steady(wire: Wire): unknown {
  const text = JSON.stringify(wire)
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, "a new id")
    .replaceAll(/dur=[0-9.]+/g, "dur=some");
  return JSON.parse(text);
}

describe("as a filter, on the lightweight pair,", () => {
  let printed: Mock<typeof console.log>;
  beforeEach(() => {
    printed = spyOn(console, "log").mockImplementation(() => {});
  });
  afterEach(() => printed.mockRestore());

  const linesPrinted = () => {
    const lines = printed.mock.calls.map(([line]) => String(line).replace(/\d+m?s$/, "some time"));
    printed.mockClear();
    return lines;
  };

  for (const name of honoFilters.names) {
    for (const one of cases[name] ?? []) {
      test(`${name} does as Hono has it: ${one.name}`, async () => {
        const { request = {}, answer = {} } = one;
        const wanted = await onNativePair(await asHonoHasIt(name, one), request, answer);
        const wantedLines = linesPrinted();
        const found = await onLightPair(await asFilter(name, one), request, answer);
        const headers = found.headers.filter((line) => line !== "x-clearway-reason: refused-by-filter");
        expect(steady({ ...found, headers })).toEqual(steady(wanted));
        expect(linesPrinted()).toEqual(wantedLines);
      });
    }
  }
});

describe("Hono's middlewares", () => {
  test("have three cases at least, each that a config can name", () => {
    expect(Object.keys(cases).sort()).toEqual([...honoFilters.names].sort());
    for (const [name, list] of Object.entries(cases)) expect([name, list.length >= 3]).toEqual([name, true]);
  });

  test("are taken, or left out with a reason, all that the package exports", async () => {
    const taken = honoFilters.names.map((name) => name.replace(/^hono\//, "").replace(/#.*/, ""));
    const known = [...new Set([...taken, ...Object.keys(leftOut), ...noMiddlewares])];
    const { exports } = await import("../../node_modules/hono/package.json");
    expect(Object.keys(exports).map(moduleName).sort()).toEqual(known.sort());
    for (const [name, { import: file }] of Object.entries(exports)) {
      if (!String(file).startsWith("./dist/middleware/")) continue;
      expect([...taken, ...Object.keys(leftOut)]).toContain(moduleName(name));
    }
  });

  test("are all in docs/filters.md", async () => {
    const text = await Bun.file(join(root, "docs/filters.md")).text();
    for (const name of [...honoFilters.names, ...Object.keys(leftOut).map((module) => `hono/${module}`)]) {
      expect(text).toContain(`\`${name}\``);
    }
  });

  test("that are left out are refused with what to do instead", async () => {
    for (const [name, { reason, instead }] of Object.entries(leftOut)) {
      expect(await honoFilters.find(`hono/${name}`)).toEqual({ refused: reason, hints: [instead] });
    }
    expect(await honoFilters.find("hono/cookie")).toBeNull();
    expect(await honoFilters.find("hono/trailing-slash")).toMatchObject({
      hints: [expect.stringContaining("#trim")],
    });
  });
});

function moduleName(exported: string): string {
  return exported.replace(/^\.\/?/, "");
}

/** The app itself, what handlers call, adapters to hosts, JSX, routers, clients. */
const noMiddlewares = [
  ...["", "hono-base", "tiny", "quick", "types", "request", "http-exception", "factory", "testing", "dev"],
  ...[
    "accepts",
    "conninfo",
    "cookie",
    "css",
    "html",
    "proxy",
    "route",
    "ssg",
    "streaming",
    "ws",
    "adapter",
    "client",
  ],
  ...["aws-lambda", "bun", "cloudflare-pages", "cloudflare-workers", "deno", "lambda-edge", "netlify"],
  ...["service-worker", "vercel"],
  ...["jsx", "jsx/dom", "jsx/dom/client", "jsx/dom/css", "jsx/dom/jsx-dev-runtime", "jsx/dom/jsx-runtime"],
  ...["jsx/dom/server", "jsx/jsx-dev-runtime", "jsx/jsx-runtime", "jsx/streaming"],
  ...[
    "router",
    "router/linear-router",
    "router/pattern-router",
    "router/reg-exp-router",
    "router/smart-router",
  ],
  ...["router/trie-router", "utils/*", "utils/jwt"],
];
