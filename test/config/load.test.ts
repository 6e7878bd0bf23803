import { expect, test } from "bun:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem, problemsMax } from "../../src/config/problem.ts";
import type { Snapshot } from "../../src/snapshot.ts";
import { onlyFilters } from "../found-filters.ts";
import { filesOf, filters, host, load, noPaint, type Texts, withRoute } from "./fixture.ts";

const full = `
admin: 127.0.0.1:9901
drain: 5s
limits: { headerBytes: 8KiB, bufferHigh: 128KiB, connections: 20000 }
paths: { dotSegments: resolve, merge: true, escapedSlash: decode }
listeners:
  web:
    bind: "[::1]:8080"
    trustedHops: 2
    limits: { silenceTimeout: 10m }
    filters: [request-id, rate-limit: { requests: 10, per: 1s, key: "header:x-tenant" }]
    routes:
      - match:
          host: "*.shop.example"
          path: /api/*
          method: [GET, POST]
          headers: { X-Beta: "1", x-a: { present: true } }
          query: { q: { prefix: a } }
        filters:
          - mirror: { to: next, percent: 10 }
          - retry: { attempts: 3 }
            id: second
            onError: open
        timeout: 2s
        to: { orders: 90, next: 10 }
        rewrite: { path: /v2/*, host: orders.internal }
      - match: { path: /old/* }
        filters: [rate-limit: { requests: 5, per: 1m }]
        redirect: { path: /new/*, scheme: https, host: "shop.example:8443", status: 308 }
      - respond: { status: 404, headers: { x-a: [b, c], x-d: e }, body: none }
services:
  orders:
    endpoints: ["10.0.0.1:9000", { address: "unix:/run/orders.sock", weight: 2, zone: b, version: v2 }]
    loadBalancing: round-robin
    limits: { connections: 10, headerFields: 20 }
    timeouts: { connect: 250ms }
  next:
    endpoints: [orders.internal:9000]
    loadBalancing: { ring-hash: { key: "header:X-Tenant" } }
    slowStart: 20s
    panic: 12.5%
    outlierDetection: { consecutiveErrors: 7, ejection: 10s, maxEjected: 30% }
  accounts: { dns: accounts.internal:9000, healthCheck: { path: /healthz, host: accounts.example, unhealthy: 5 } }
  products: { dns: { name: _http._tcp.products.internal, refreshMin: 2s }, healthCheck: {} }
resolver: { servers: ["127.0.0.1:5353"], timeout: 250ms }
log: { level: debug, format: text }
zone: b
`;

test("loadConfig makes the snapshot of the whole grammar", async () => {
  const { snapshot } = await load({ "clearway.yaml": full });
  const [listener] = snapshot!.listeners;
  const [api, old, rest] = listener!.routes;
  expect(snapshot).toMatchObject({
    version: 7,
    admin: { host: "127.0.0.1", port: 9901 },
    drainMs: 5000,
    zone: "b",
    connectionsMax: 20_000,
    paths: { dotSegments: "resolve", slashes: "merge", escapedSlash: "decode" },
    log: { level: "debug", format: "text" },
  });
  expect(listener).toMatchObject({
    name: "web",
    bind: { host: "::1", port: 8080 },
    trustedHops: 2,
    limits: { headerBytes: 8192, bufferHighBytes: 131_072, silenceTimeoutMs: 600_000 },
    place: { file: "clearway.yaml", line: 7 },
  });
  expect(api).toMatchObject({
    name: "*.shop.example/api/*",
    match: {
      host: "*.shop.example",
      path: "/api/*",
      methods: ["GET", "POST"],
      headers: [
        { name: "x-beta", match: { kind: "exact", value: "1" } },
        { name: "x-a", match: { kind: "present" } },
      ],
      query: [{ name: "q", match: { kind: "prefix", value: "a" } }],
    },
    filters: [
      { name: "mirror", id: null, onError: "fail", options: { to: "next", percent: 10 } },
      { name: "retry", id: "second", onError: "open", options: { attempts: 3 }, place: { line: 21 } },
    ],
    timeoutMs: 2000,
    action: {
      kind: "forward",
      to: [
        { service: "orders", version: null, weight: 90 },
        { service: "next", version: null, weight: 10 },
      ],
      rewrite: { path: "/v2/*", host: "orders.internal" },
    },
    place: { line: 13 },
  });
  expect(old?.action).toEqual({
    kind: "redirect",
    scheme: "https",
    host: "shop.example:8443",
    path: "/new/*",
    status: 308,
  });
  expect(rest).toMatchObject({
    name: "*",
    match: { host: null, path: null, methods: [], headers: [], query: [] },
    timeoutMs: 15_000,
    action: {
      kind: "respond",
      status: 404,
      headers: [
        ["x-a", "b"],
        ["x-a", "c"],
        ["x-d", "e"],
      ],
      body: "none",
    },
  });
  expect(snapshot?.services[0]).toMatchObject({
    name: "orders",
    endpoints: [
      { address: { host: "10.0.0.1", port: 9000 }, weight: 1, zone: null, version: null },
      { address: { unixPath: "/run/orders.sock" }, weight: 2, zone: "b", version: "v2" },
    ],
    loadBalancing: { policy: "round-robin" },
    limits: { connections: 10, pending: 1024, requests: 1024 },
    timeouts: { connectMs: 250, idleMs: 55_000 },
    messageLimits: { headerFields: 20, headerBytes: 8192, connections: 10 },
  });
  expect(snapshot?.services.slice(2)).toMatchObject([
    { endpoints: [], dns: { name: "accounts.internal", port: 9000, records: "address", refreshMinMs: 1000 } },
    { dns: { port: null, records: "srv", refreshMinMs: 2000 }, healthCheck: { path: null, unhealthy: 3 } },
  ]);
  expect(snapshot?.resolver).toEqual({ servers: [{ host: "127.0.0.1", port: 5353 }], timeoutMs: 250 });
});

test("loadConfig makes plain data, which survives the way to another process", async () => {
  const { snapshot } = await load({ "clearway.yaml": full });
  expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
});

test("loadConfig reads its own resolved config back to the same snapshot", async () => {
  const first = await load({ "clearway.yaml": full });
  const second = await load({ "clearway.yaml": stringify(first.resolved) });
  expect(second.problems).toEqual([]);
  expect(withoutPlaces(second.snapshot)).toEqual(withoutPlaces(withDefaultOptions(first.snapshot)));
  expect(second.resolved).toEqual(first.resolved);
});

/** The resolved config says defaults that the first one left out. */
function withDefaultOptions(snapshot: Snapshot | null): unknown {
  const text = JSON.stringify(snapshot)
    .replace('"key":"header:x-tenant"', '"key":"header:x-tenant","bodyMax":"1KiB"')
    .replace('"attempts":3', '"attempts":3,"perTry":"800ms"');
  return JSON.parse(text.replace('"per":"1m"', '"per":"1m","key":"ip","bodyMax":"1KiB"'));
}

/** What says how a text is written, not what it means. */
const ofText = ["place", "timeoutSource"];

function withoutPlaces(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => (ofText.includes(key) ? undefined : inner)));
}

test("loadConfig names every file and directory that it read or looked for", async () => {
  const texts: Texts = {
    "etc/clearway.yaml":
      'listeners: { web: { bind: ":80", routes: [{ respond: { body: "file:page" } }] } }\ninclude: [conf.d/*.yaml, ../more.yaml]\n',
    "etc/conf.d/a.yaml": "log: { level: warn }\n",
    "etc/page": "hello\n",
  };
  const result = await loadConfig({
    ...host,
    file: "etc/clearway.yaml",
    files: filesOf(texts),
    environment: {},
    version: 1,
  });
  expect(result.files).toEqual([
    "etc/clearway.yaml",
    "etc/conf.d",
    "etc/conf.d/a.yaml",
    "more.yaml",
    "etc/page",
  ]);
  expect(result.problems.map(({ message }) => message)).toEqual(['cannot read "more.yaml": it is not there']);
});

test("loadConfig reads relative names from the directory that it is given", async () => {
  const files = filesOf({ "/srv/clearway.yaml": 'listeners: { web: { bind: ":80", bnd: 1 } }' });
  const result = await loadConfig({
    ...host,
    file: "clearway.yaml",
    directory: "/srv",
    files,
    environment: {},
    version: 1,
  });
  expect(result.files).toEqual(["/srv/clearway.yaml"]);
  expect(result.problems[0]?.file).toBe("clearway.yaml");
});

test("loadConfig says that the main file is not there", async () => {
  const { problems, files } = await load({});
  expect(problems.map((problem) => formatProblem(problem, noPaint))).toEqual([
    'clearway.yaml\n  cannot read "clearway.yaml": it is not there',
  ]);
  expect(files).toEqual(["clearway.yaml"]);
});

test("loadConfig says why the host cannot read a file", async () => {
  const files = {
    read: async () => Promise.reject(new Error("EACCES: permission denied")),
    list: async () => [],
  };
  const { problems } = await loadConfig({
    ...host,
    file: "a.yaml",
    files,
    environment: {},
    version: 1,
  });
  expect(problems[0]?.message).toBe('cannot read "a.yaml": EACCES: permission denied');
});

test("loadConfig refuses a file beyond its bound", async () => {
  const { problems } = await load({ "clearway.yaml": "#".repeat(16 * 1024 * 1024 + 1) });
  expect(problems.map(({ message }) => message)).toEqual([
    'cannot read "clearway.yaml": it is longer than 16777216 characters',
  ]);
});

test("loadConfig refuses a secret beyond its bound, and takes one at it", async () => {
  const texts = withRoute('match: { path: /a }\nrespond: { body: "file:page" }');
  const most = await load({ ...texts, page: "x".repeat(65_536) });
  const more = await load({ ...texts, page: "x".repeat(65_537) });
  expect(most.problems).toEqual([]);
  expect(more.problems[0]?.message).toBe('cannot read "page": it is longer than 65536 characters');
});

test("loadConfig reads at most 256 included files", async () => {
  const included = Array.from({ length: 257 }, (_, index) => [`conf.d/${index}.yaml`, "{}"]);
  const main = 'listeners: { web: { bind: ":80" } }\ninclude: [conf.d/*.yaml]\n';
  const { problems, files } = await load({ "clearway.yaml": main, ...Object.fromEntries(included) });
  expect(problems.map(({ message }) => message)).toEqual(["cannot include 257 files: wanted at most 256"]);
  expect(files).toHaveLength(258);
});

test("loadConfig keeps a hundred problems and counts the others", async () => {
  const keys = Array.from({ length: problemsMax + 20 }, (_, index) => `unknown${index}: 1\n`).join("");
  const { problems } = await load({ "clearway.yaml": `listeners: { web: { bind: ":80" } }\n${keys}` });
  expect(problems).toHaveLength(problemsMax + 1);
  expect(problems.at(-1)?.message).toBe("20 more problems are not shown");
});

test("loadConfig says a problem once, however many aliases lead to it", async () => {
  const routes = Array.from(
    { length: 5 },
    (_, index) => `      - { match: { path: /${index} }, filters: *f, respond: {} }\n`,
  );
  const text = `listeners:\n  web:\n    bind: ":80"\n    filters: &f [unknown]\n    routes:\n${routes.join("")}`;
  const { problems } = await load({ "clearway.yaml": text });
  expect(problems.map(({ path }) => path)).toEqual(["listeners.web.filters[0]"]);
});

test("loadConfig reports a filter whose schema throws, and goes on", async () => {
  const { problems } = await loadConfig({
    ...host,
    file: "clearway.yaml",
    files: filesOf({ "clearway.yaml": 'listeners: { web: { bind: ":80", filters: [token], bnd: 1 } }' }),
    findFilters: onlyFilters(
      new Map([["token", { ...filters.get("token")!, options: { safeParse: () => fail() } as never }]]),
    ),
    environment: {},
    version: 1,
  });
  expect(problems.map(({ message }) => message)).toEqual([
    'cannot check the options of "token": out of order',
    'unknown key "bnd"',
  ]);
});

function fail(): never {
  throw new Error("out of order");
}

const words = fc.constantFrom(
  ...[
    "listeners:",
    "services:",
    "\n  web:",
    "\n    bind: ",
    '":80"',
    "\n    routes:",
    "\n      - match: ",
    "{",
    "}",
  ],
  ...[
    "[",
    "]",
    "path: /a",
    ", ",
    "to: orders",
    "*a",
    "&a ",
    "!t ",
    "%",
    '"',
    "'",
    "|",
    ">",
    "<<: ",
    `\${A}`,
    "${",
    "\t",
  ],
  ...[
    "filters: ",
    "request-id",
    "rate-limit",
    "\n",
    "\n        ",
    "- ",
    ": ",
    "?",
    "#",
    "---\n",
    "...\n",
    "\u{1f600}",
    "\r\n",
  ],
  ...[
    "\u0000",
    "\u001b[2J",
    "\ud800",
    "1",
    "1s",
    "include: [x.yaml]",
    "file:x",
    "respond: ",
    "body: ",
    "limits: ",
  ],
);

test("loadConfig never throws, and points inside the file, whatever the text", async () => {
  const texts = fc.oneof(
    fc.array(words, { maxLength: 40 }).map((parts) => parts.join("")),
    fc.string({ maxLength: 200 }),
  );
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const { snapshot, problems } = await load({ "clearway.yaml": text }, { A: "5" });
      expect(snapshot === null).toBe(problems.length > 0);
      const lines = text.replace(/^\uFEFF/, "").split("\n");
      for (const problem of problems) {
        const line = lines[problem.line - 1];
        expect(line).toBeDefined();
        expect(problem.column).toBeLessThanOrEqual(line!.length + 1);
        const end = problem.column - 1 + (problem.excerpt?.length ?? 0);
        expect(end).toBeLessThanOrEqual(Math.max(problem.column, line!.length));
        expect(formatProblem(problem, noPaint)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }
    }),
    { numRuns: 500 },
  );
});

test("loadConfig survives every cut and every changed character of a right file", async () => {
  const place = fc.integer({ min: 0, max: full.length - 1 });
  await fc.assert(
    fc.asyncProperty(
      place,
      place,
      fc.constantFrom("", "[", "{", '"', "*", "\n", "\t", ":", "-"),
      async (at, to, put) => {
        const text =
          put === ""
            ? full.slice(0, at)
            : full.slice(0, at) + put + full.slice(Math.max(at, Math.min(to, at + 2)));
        const { snapshot, problems } = await load({ "clearway.yaml": text });
        expect(snapshot === null).toBe(problems.length > 0);
      },
    ),
    { numRuns: 100 },
  );
});
