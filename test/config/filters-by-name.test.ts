/** Filters that a config names and the program has not built in: Hono's and those of packages. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { honoFilters } from "../../src/filters/hono/index.ts";
import { leftOut } from "../../src/filters/hono/left-out.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { filterFinder } from "../../src/node/filter-finder.ts";
import { findFilters, userFilters } from "../found-filters.ts";
import { writePackage } from "../packages.ts";
import { filesOf, filters, host, withRoute } from "./fixture.ts";

/** What a config says to read the environment. */
const reference = `\${PASSWORD}`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clearway-by-name-"));
  await writePackage(folder, "greeting", {
    "index.js": `
      export default (options) => (c, next) => next();
      export const named = (one, two) => (c, next) => next();
      export const throws = () => { throw new Error("wanted a greeting"); };
      export const slow = async () => (c, next) => next();
      export const count = 3;
    `,
  });
  await writePackage(folder, "broken", {
    "index.js": "export default () => {};\nthrow new Error('no luck');",
  });
});
afterAll(() => rm(folder, { recursive: true }));

function load(list: string, more: Readonly<Record<string, string>> = {}) {
  const file = join(folder, "clearway.yaml");
  const lines = list.trim().split("\n");
  const text = `listeners:\n  web:\n    bind: ":8080"\n    filters:\n${lines.map((line) => `      ${line}`).join("\n")}\n`;
  const files = filesOf({ [file]: text, ...more });
  return loadConfig({ ...host, file, files, findFilters, environment: { PASSWORD: "hunter2" }, version: 1 });
}

/** Line, message and hints of each problem; the first line of the filters is 5. */
async function problemsOf(list: string) {
  const { problems } = await load(list);
  return problems.map(({ line, message, hints }) => [line, message, ...hints]);
}

const hono = (name: string) => `cannot use the filter "hono/${name}": ${leftOut[name]?.reason}`;

test("an unknown name gets the nearest one, with where it comes from", async () => {
  expect(await problemsOf("- hono/cros\n- cors\n- hono/request-i\n- compres\n- hono/acces-log")).toEqual([
    [5, 'unknown filter "hono/cros"', "did you mean `hono/cors`?"],
    [6, 'unknown filter "cors"', "did you mean `hono/cors`?"],
    [7, 'unknown filter "hono/request-i"', "did you mean `hono/request-id`?"],
    [8, 'unknown filter "compres"', "did you mean `hono/compress`?"],
    [9, 'unknown filter "hono/acces-log"', "did you mean `access-log`?"],
  ]);
  const [far] = await problemsOf("- hono/cookie");
  expect(far).toEqual([
    5,
    'unknown filter "hono/cookie"',
    expect.stringMatching(/^known here: hono\/basic-auth, /),
  ]);
});

test("what YAML cannot say is refused with the reason and what to do instead", async () => {
  const names = Object.keys(leftOut);
  expect(names.length).toBeGreaterThanOrEqual(8);
  expect(await problemsOf(names.map((name) => `- hono/${name}: {}`).join("\n"))).toEqual(
    names.map((name, index) => [5 + index, hono(name), leftOut[name]!.instead]),
  );
  const [both] = await problemsOf("- hono/trailing-slash");
  expect(both?.[2]).toBe(
    "wanted hono/trailing-slash#appendTrailingSlash or hono/trailing-slash#trimTrailingSlash",
  );
});

test("options of Hono's middlewares are read by what Hono's own types say", async () => {
  const list = `
- hono/cors: { orgin: https://a.example }
- hono/body-limit
- hono/body-limit: { maxSize: 64KiB }
- hono/cors: 5
- hono/logger: {}
- hono/cors: [{}, {}]
- hono/basic-auth: [{ username: a, password: b }, { username: c }]
- hono/compress: { encoding: br }
- hono/timeout: soon
`;
  expect(await problemsOf(list)).toEqual([
    [5, 'unknown key "orgin"', "did you mean `origin`?"],
    [6, "cannot find `maxSize` here: wanted a whole number"],
    [7, 'cannot read "64KiB": wanted a whole number'],
    [8, "cannot read 5: wanted nothing, or a map such as { origin: … }, or a list"],
    [9, "cannot read an empty map: wanted nothing"],
    [10, "cannot read a list: wanted at most 1 entry"],
    [11, "cannot find `password` here: wanted text"],
    [12, 'cannot read "br": wanted gzip or deflate'],
    [13, 'cannot read "soon": wanted a number from 1 to 86400000, or a list'],
  ]);
});

test("a factory that throws is a problem at its line", async () => {
  const list = `
- request-id
- hono/language: { fallbackLanguage: de, supportedLanguages: [en] }
- npm:greeting#throws: { a: 1 }
- npm:greeting#slow
`;
  expect(await problemsOf(list)).toEqual([
    [6, "cannot read a map: hono/language throws: Fallback language must be included in supported languages"],
    [7, "cannot read a map: npm:greeting#throws throws: wanted a greeting"],
    [
      8,
      "cannot read nothing: npm:greeting#slow makes a promise: wanted a middleware, a function of (c, next)",
    ],
  ]);
});

test("a package that cannot be used is a problem that says why", async () => {
  const functions = "its functions are: default, named, slow, throws; name one behind a #";
  const list = `
- npm:not-there
- npm:greeting#count
- npm:greeting#nothing
- npm:broken
- npm:../greeting
- npm:fs#readFile
`;
  expect(await problemsOf(list)).toEqual([
    [
      5,
      expect.stringMatching(/: no node_modules of ".*", or of a folder above it, has "not-there"$/),
      install,
    ],
    [
      6,
      'cannot use the filter "npm:greeting#count": the export "count" of greeting is no function: wanted one that makes a middleware',
      functions,
    ],
    [7, 'cannot use the filter "npm:greeting#nothing": greeting has no export "nothing"', functions],
    [8, expect.stringMatching(/: .*broken\/index.js cannot be loaded: no luck$/)],
    [9, 'cannot use the filter "npm:../greeting": "../greeting" is no name of a package', expect.anything()],
    [10, expect.stringMatching(/has "fs"$/), install],
  ]);
});

const install = "install it there with npm install";

test("they are filters like any other: id, onError, order, and the config written back", async () => {
  const right = `
- hono/compress
- hono/cors: { origin: https://a.example }
  id: shop
  onError: open
- hono/basic-auth: [{ username: a, password: b }, { username: c, password: d }]
- npm:greeting#named: [1, { two: 2 }]
`;
  const { snapshot, problems, resolved } = await load(right);
  expect(problems).toEqual([]);
  expect(snapshot?.folder).toBe(folder);
  expect(snapshot?.listeners[0]?.filters).toMatchObject([
    { name: "hono/compress", options: null, id: null, onError: "fail", place: { line: 5 } },
    { name: "hono/cors", options: { origin: "https://a.example" }, id: "shop", onError: "open" },
    { name: "hono/basic-auth", options: [{ username: "a" }, { username: "c" }] },
    { name: "npm:greeting#named", options: [1, { two: 2 }] },
  ]);
  const { web } = (resolved as { listeners: { web: { filters: unknown[] } } }).listeners;
  expect(web.filters.slice(0, 2)).toEqual([
    { "hono/compress": null, onError: "fail" },
    { "hono/cors": { origin: "https://a.example" }, id: "shop", onError: "open" },
  ]);
  expect((await load(stringify(web.filters))).problems).toEqual([]);
});

test("their secrets are not shown, wherever they come from", async () => {
  const list = `
- hono/basic-auth: [{ username: a, password: plain }, { username: b, password: "\${PASSWORD}" }]
- hono/bearer-auth: { token: [one, file:token], realm: "\${PASSWORD}" }
- hono/jwt: { alg: HS256, secret: { kty: oct, k: hidden } }
- npm:greeting: { user: a, apiKey: plain, deep: [{ password: plain }, "\${PASSWORD}", file:token] }
`;
  const { problems, resolved, snapshot } = await load(list, { [join(folder, "token")]: "hunter3\n" });
  expect(problems).toEqual([]);
  const { web } = (resolved as { listeners: { web: { filters: unknown[] } } }).listeners;
  const token = `file:${join(folder, "token")}`;
  expect(web.filters).toMatchObject([
    {
      "hono/basic-auth": [
        { username: "a", password: "(secret)" },
        { username: "b", password: reference },
      ],
    },
    // What is no secret is shown as it is, from the environment too.
    { "hono/bearer-auth": { token: ["(secret)", token], realm: "hunter2" } },
    { "hono/jwt": { alg: "HS256", secret: { kty: "(secret)", k: "(secret)" } } },
    {
      "npm:greeting": {
        user: "a",
        apiKey: "(secret)",
        deep: [{ password: "(secret)" }, reference, token],
      },
    },
  ]);
  expect(snapshot?.listeners[0]?.filters[1]?.options).toMatchObject({ token: ["one", "hunter3"] });
});

test("they run around the request, so before what stands around the call", async () => {
  const find = filterFinder({
    builtIn: filters,
    clock: systemClock,
    families: async () => [honoFilters],
    userFilters,
  });
  const texts = withRoute("to: orders\nfilters: [retry: { attempts: 3 }, hono/cors]");
  const { problems } = await loadConfig({
    ...host,
    findFilters: find,
    file: "clearway.yaml",
    files: filesOf(texts),
    environment: {},
    version: 1,
  });
  expect(problems.map(({ message }) => message)).toEqual([
    "cannot run hono/cors, around the request, after retry, repeating the call to the service",
  ]);
});
