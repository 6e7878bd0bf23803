import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createMatcher, rewritePath, starRemainder } from "../../src/runtime/match.ts";
import { finished } from "../../src/runtime/slices.ts";
import type { NamedValueMatch, RouteMatch, ValueMatch } from "../../src/snapshot.ts";
import type { RequestHead } from "../../src/types.ts";
import { type HeadParts, requestHead } from "./request-heads.ts";

function route(match: Partial<RouteMatch>): RouteMatch {
  return { host: null, path: null, methods: [], headers: [], query: [], ...match };
}

/** Which of the routes takes the request: its number, or null. */
function winner(routes: readonly Partial<RouteMatch>[], request: HeadParts): number | null {
  const compiled = routes.map((match, value) => ({ match: route(match), value }));
  return finished(createMatcher(compiled)).find(requestHead(request));
}

function named(name: string, value: string, kind: "exact" | "prefix" = "exact"): NamedValueMatch {
  return { name, match: { kind, value } };
}

function present(name: string): NamedValueMatch {
  return { name, match: { kind: "present" } };
}

describe("matcher", () => {
  test("finds nothing where nothing fits", () => {
    expect(winner([], {})).toBeNull();
    expect(winner([{ path: "/a" }], { path: "/b" })).toBeNull();
    expect(winner([{ path: "/a" }], { path: "/a/" })).toBeNull();
    expect(winner([{ host: "shop.example" }], { host: "other.example" })).toBeNull();
  });

  test("prefers the exact host, then the longer suffix, then any", () => {
    const routes = [{}, { host: "*.example" }, { host: "*.shop.example" }, { host: "a.shop.example" }];
    expect(winner(routes, { host: "a.shop.example" })).toBe(3);
    expect(winner(routes, { host: "b.shop.example" })).toBe(2);
    expect(winner(routes, { host: "x.y.shop.example" })).toBe(2);
    expect(winner(routes, { host: "shop.example" })).toBe(1);
    expect(winner(routes, { host: "example" })).toBe(0);
    expect(winner(routes, { host: "evilshop.example" })).toBe(1);
    expect(winner(routes, { host: "" })).toBe(0);
  });

  test("takes one or more labels for the * of a host, not none", () => {
    const routes = [{ host: "*.shop.example" }];
    expect(winner(routes, { host: "a.shop.example" })).toBe(0);
    expect(winner(routes, { host: ".shop.example" })).toBeNull();
    expect(winner(routes, { host: "shop.example" })).toBeNull();
  });

  test("goes on with the next host when no route of the better one fits", () => {
    const routes = [{ host: "shop.example", path: "/only" }, { host: "*.example", methods: ["PUT"] }, {}];
    expect(winner(routes, { path: "/else" })).toBe(2);
    expect(winner(routes, { path: "/else", method: "PUT" })).toBe(1);
    expect(winner(routes, { path: "/only", method: "PUT" })).toBe(0);
  });

  test("prefers the exact path, then the longer literal prefix, then :param to *", () => {
    const paths = ["/a/b", "/a/:id", "/a/*", "/*", null, "/a/b/*", "/:x/b", "/a/:id/c", "/a/:id/*"];
    const routes = paths.map((path) => ({ path }));
    const wins = (path: string) => paths[winner(routes, { path })!];
    expect(wins("/a/b")).toBe("/a/b");
    expect(wins("/a/z")).toBe("/a/:id");
    expect(wins("/a/b/c")).toBe("/a/b/*");
    expect(wins("/a/z/c")).toBe("/a/:id/c");
    expect(wins("/a/z/d")).toBe("/a/:id/*");
    expect(wins("/a")).toBe("/a/*");
    expect(wins("/a/")).toBe("/a/*");
    expect(wins("/z/b")).toBe("/:x/b");
    expect(wins("/z")).toBe("/*");
    expect(wins("/")).toBe("/*");
    expect(wins("*")).toBeNull();
  });

  test("takes /a for /a/*, but not /ab", () => {
    expect(winner([{ path: "/a/*" }], { path: "/a" })).toBe(0);
    expect(winner([{ path: "/a/*" }], { path: "/a//b" })).toBe(0);
    expect(winner([{ path: "/a/*" }], { path: "/ab" })).toBeNull();
  });

  test("takes at least one character for :param", () => {
    expect(winner([{ path: "/a/:id" }], { path: "/a/" })).toBeNull();
    expect(winner([{ path: "/a/:id/b" }], { path: "/a//b" })).toBeNull();
  });

  test("goes back to a less literal path when the better one leads nowhere", () => {
    const routes = [{ path: "/a/b/c" }, { path: "/a/:x/d" }, { path: "/:y/b/e" }, { path: "/a/*" }];
    expect(winner(routes, { path: "/a/b/d" })).toBe(1);
    expect(winner(routes, { path: "/a/b/f" })).toBe(3);
    expect(winner(routes, { path: "/z/b/e" })).toBe(2);
  });

  test("goes on with the next path when the best one's method does not fit", () => {
    const routes = [{ path: "/a", methods: ["POST"] }, { path: "/:x", methods: ["PUT"] }, { path: "/*" }];
    expect(winner(routes, { path: "/a", method: "POST" })).toBe(0);
    expect(winner(routes, { path: "/a", method: "PUT" })).toBe(1);
    expect(winner(routes, { path: "/a", method: "GET" })).toBe(2);
  });

  test("prefers a method, then more headers, then more query fields, then the earlier line", () => {
    const headers = [present("x-a"), present("x-b")];
    const query = [present("p"), present("q")];
    const request: HeadParts = {
      path: "/a",
      query: "p&q",
      fields: [
        ["X-A", "1"],
        ["X-B", "2"],
      ],
    };
    const best = { path: "/a", methods: ["GET"] };
    expect(winner([{ path: "/a", headers, query }, best], request)).toBe(1);
    expect(
      winner(
        [
          { path: "/a", query },
          { path: "/a", headers: headers.slice(1) },
        ],
        request,
      ),
    ).toBe(1);
    expect(
      winner(
        [
          { path: "/a", headers: headers.slice(1), query },
          { path: "/a", headers },
        ],
        request,
      ),
    ).toBe(1);
    expect(
      winner(
        [
          { path: "/a", query: query.slice(1) },
          { path: "/a", query },
        ],
        request,
      ),
    ).toBe(1);
    expect(winner([{ path: "/a" }, { path: "/a" }], request)).toBe(0);
  });

  test("does not answer HEAD with the route of GET, and knows any method token", () => {
    const routes = [{ methods: ["GET", "BREW"] }];
    expect(winner(routes, { method: "HEAD" })).toBeNull();
    expect(winner(routes, { method: "get" })).toBeNull();
    expect(winner(routes, { method: "BREW" })).toBe(0);
  });

  test("compares header names without case and values as bytes", () => {
    const routes = [{ headers: [named("x-beta", "Caf\u00e9")] }];
    const utf8 = Buffer.from("Caf\u00e9").toString("latin1");
    expect(winner(routes, { fields: [["X-BETA", utf8]] })).toBe(0);
    expect(winner(routes, { fields: [["x-beta", utf8.toLowerCase()]] })).toBeNull();
    expect(winner(routes, { fields: [["x-beta", `${utf8}!`]] })).toBeNull();
    expect(winner(routes, { fields: [["x-bet", utf8]] })).toBeNull();
    expect(winner(routes, {})).toBeNull();
  });

  test("takes any value of a repeated header", () => {
    const fields = [
      ["x-a", "1"],
      ["x-a", "2"],
    ] as const;
    expect(winner([{ headers: [named("x-a", "2")] }], { fields })).toBe(0);
    expect(winner([{ headers: [named("x-a", "1"), named("x-a", "2")] }], { fields })).toBe(0);
    expect(winner([{ headers: [named("x-a", "1, 2")] }], { fields })).toBeNull();
  });

  test("knows prefix and presence of a header", () => {
    const prefix = [{ headers: [named("accept", "text/", "prefix")] }];
    expect(winner(prefix, { fields: [["Accept", "text/html"]] })).toBe(0);
    expect(winner(prefix, { fields: [["Accept", "text"]] })).toBeNull();
    expect(winner([{ headers: [present("x-a")] }], { fields: [["x-a", ""]] })).toBe(0);
  });

  test("compares query fields decoded", () => {
    const routes = [{ query: [named("na me", "caf\u00e9 +1")] }];
    for (const query of [
      "na+me=caf%C3%A9+%2b1",
      "x&na%20me=caf%c3%a9%20%2B1&y=2",
      "na%20me=1&na%20me=caf%C3%A9+%2B1",
    ]) {
      expect(winner(routes, { query })).toBe(0);
    }
    for (const query of ["", "na+me", "na+me=caf%C3%A9", "na+me=caf%C3%A9+%2B12", "name=caf%C3%A9+%2B1"]) {
      expect(winner(routes, { query })).toBeNull();
    }
  });

  test("knows prefix and presence of a query field, and takes a broken escape as it is", () => {
    expect(winner([{ query: [present("debug")] }], { query: "a=1&debug" })).toBe(0);
    expect(winner([{ query: [present("debug")] }], { query: "a=debug" })).toBeNull();
    expect(winner([{ query: [present("debug")] }], { query: "debugger" })).toBeNull();
    expect(winner([{ query: [named("v", "10", "prefix")] }], { query: "v=1%300" })).toBe(0);
    expect(winner([{ query: [named("v", "10", "prefix")] }], { query: "v=1" })).toBeNull();
    expect(winner([{ query: [named("v", "100%")] }], { query: "v=100%" })).toBe(0);
    expect(winner([{ query: [named("v", "%zz")] }], { query: "v=%zz" })).toBe(0);
  });

  test("looks at the first 128 query fields only", () => {
    const before = (count: number) => "a&".repeat(count);
    expect(winner([{ query: [present("x")] }], { query: `${before(127)}x` })).toBe(0);
    expect(winner([{ query: [present("x")] }], { query: `${before(128)}x` })).toBeNull();
  });

  test("finds one of a thousand tenants by header as it would without an index", () => {
    const tenants = Array.from({ length: 1_000 }, (_, index) => ({
      path: "/a",
      headers: [named("x-tenant", `t${index}`)],
    }));
    const routes = [
      { path: "/a", headers: [named("x-tenant", "t7", "prefix")] },
      { path: "/a" },
      ...tenants,
      { path: "/a", headers: [named("x-tenant", "t500"), present("x-beta")] },
      { path: "/a", methods: ["PUT"] },
    ];
    const matcher = finished(createMatcher(routes.map((match, value) => ({ match: route(match), value }))));
    const find = (...fields: [string, string][]) => matcher.find(requestHead({ path: "/a", fields }));
    expect(find(["X-Tenant", "t400"])).toBe(402);
    // Both ask for one header, so the earlier line wins.
    expect(find(["X-Tenant", "t700"])).toBe(0);
    expect(find(["X-Tenant", "t500"], ["X-Beta", ""])).toBe(1_002);
    expect(find(["X-Tenant", "no"], ["X-Tenant", "t12"], ["X-Tenant", "t11"])).toBe(13);
    expect(find(["X-Tenant", "no"])).toBe(1);
    expect(matcher.find(requestHead({ path: "/a", method: "PUT", fields: [["x-tenant", "t3"]] }))).toBe(
      1_003,
    );
  });

  test("agrees with sorting all routes that fit", () => {
    fc.assert(
      fc.property(
        fc.array(anyRoute, { maxLength: 40 }),
        fc.array(anyHead, { minLength: 1, maxLength: 10 }),
        agree,
      ),
      { numRuns: 1_500 },
    );
  });

  test("looks at each node once, so literals beside :params at every level do not explode", () => {
    // All 2^12 paths of "a" or ":p", with a longer one that never comes.
    const routes = Array.from({ length: 4_096 }, (_, bits) => ({
      path: `/${Array.from({ length: 12 }, (_, level) => ((bits >> level) & 1 ? "a" : ":p")).join("/")}/end`,
    }));
    const matcher = finished(createMatcher(routes.map((match, value) => ({ match: route(match), value }))));
    let looks = 0;
    const head = requestHead({ path: "/a".repeat(13) });
    const counting: RequestHead = {
      ...head,
      get path() {
        looks += 1;
        return head.path;
      },
    };
    expect(matcher.find(counting)).toBeNull();
    // 2^13 - 1 nodes of the tree and a few looks before it.
    expect(looks).toBeLessThan(8_200);
  });
});

const anyValue: fc.Arbitrary<ValueMatch> = fc.oneof(
  fc.record({ kind: fc.constantFrom("exact", "prefix"), value: fc.constantFrom("1", "12", "") }),
  fc.constant({ kind: "present" } as const),
) as fc.Arbitrary<ValueMatch>;
const anyNamed = fc.record({ name: fc.constantFrom("x-a", "x-b"), match: anyValue });
const anySegments = (segments: string[]) =>
  fc
    .array(fc.constantFrom(...segments), { minLength: 1, maxLength: 4 })
    .map((parts) => `/${parts.join("/")}`);
const anyRoute: fc.Arbitrary<RouteMatch> = fc.record({
  host: fc.constantFrom(null, "example", "*.example", "a.example", "*.a.example"),
  path: fc.oneof(
    fc.constant(null),
    fc
      .tuple(anySegments(["a", "b", ":x", ":y", ""]), fc.constantFrom("", "", "/*"))
      .map((parts) => parts.join("")),
  ),
  methods: fc.constantFrom([], [], ["GET"], ["GET", "PUT"], ["POST"]),
  headers: fc.array(anyNamed, { maxLength: 2 }),
  query: fc.array(anyNamed, { maxLength: 1 }),
});
const anyHead: fc.Arbitrary<HeadParts> = fc.record({
  host: fc.constantFrom("example", "a.example", "b.a.example", "c.example", "other", ""),
  path: anySegments(["a", "b", "c", ""]),
  method: fc.constantFrom("GET", "PUT", "POST"),
  query: fc.constantFrom("", "x-a=1", "x-a=12&x-b", "x-b=1&x-a=3"),
  fields: fc.array(fc.tuple(fc.constantFrom("X-A", "x-b"), fc.constantFrom("1", "12", "3", "")), {
    maxLength: 3,
  }),
});

/** The model: every route that fits, the best of a sort by the words of the design. */
function agree(routes: readonly RouteMatch[], requests: readonly HeadParts[]): void {
  const matcher = finished(createMatcher(routes.map((match, value) => ({ match, value }))));
  for (const request of requests) {
    const fitting = [...routes.keys()].filter((line) => fits(routes[line]!, request));
    fitting.sort((a, b) => compareRanks(rank(routes[a]!), rank(routes[b]!)) || a - b);
    expect(matcher.find(requestHead(request))).toBe(fitting[0] ?? null);
  }
}

function fits(match: RouteMatch, request: HeadParts): boolean {
  const valueFits = (wanted: ValueMatch, value: string) =>
    wanted.kind === "present" ||
    (wanted.kind === "exact" ? value === wanted.value : value.startsWith(wanted.value));
  const anyFits = (wanted: NamedValueMatch, entries: Iterable<readonly [string, string]>) =>
    [...entries].some(
      ([name, value]) => name.toLowerCase() === wanted.name && valueFits(wanted.match, value),
    );
  return (
    (match.host === null ||
      match.host === request.host ||
      (match.host.startsWith("*.") && request.host!.endsWith(match.host.slice(1)))) &&
    (match.path === null || pathPattern(match.path).test(request.path!)) &&
    (match.methods.length === 0 || match.methods.includes(request.method!)) &&
    match.headers.every((header) => anyFits(header, request.fields!)) &&
    match.query.every((field) => anyFits(field, new URLSearchParams(request.query)))
  );
}

function pathPattern(path: string): RegExp {
  const body = path.replace(/\/\*$/, "").replace(/:\w+/g, "[^/]+");
  return new RegExp(`^${body}${path.endsWith("/*") ? "(/.*)?" : ""}$`);
}

/** Smaller is better, number by number. */
function rank({ host, path, methods, headers, query }: RouteMatch): number[] {
  const hostRank = host === null ? 1000 : host.startsWith("*.") ? 500 - host.length : 0;
  // Segment by segment: literal 1, :param 2, * 3; all of them literal 0; any path 9.
  const segments = (path ?? "").split("/").slice(1);
  const kinds = segments.map((segment) => (segment === "*" ? 3 : segment.startsWith(":") ? 2 : 1));
  const pathRank = path === null ? [9] : kinds.every((kind) => kind === 1) ? [0] : kinds;
  const padded = [...pathRank, 0, 0, 0, 0, 0, 0].slice(0, 6);
  return [hostRank, ...padded, methods.length > 0 ? 0 : 1, -headers.length, -query.length];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    if (value !== b[index]) return value - b[index]!;
  }
  return 0;
}

describe("starRemainder", () => {
  const remainders: [string | null, string, string][] = [
    ["/a/*", "/a/b/c", "/b/c"],
    ["/a/*", "/a/", "/"],
    ["/a/*", "/a", ""],
    ["/*", "/a/b", "/a/b"],
    ["/*", "/", "/"],
    ["/t/:id/*", "/t/42/x/y", "/x/y"],
    ["/t/:id/*", "/t/42", ""],
    [null, "/a/b", "/a/b"],
    ["/a/b", "/a/b", ""],
    ["/a/:id", "/a/b", ""],
  ];
  test.each(remainders)("of %s and %s is %j", (path, requested, wanted) => {
    expect(starRemainder(route({ path }), requested)).toBe(wanted);
  });
});

describe("rewritePath", () => {
  const rewrites: [string, string, string][] = [
    ["/new/*", "/b/c", "/new/b/c"],
    ["/new/*", "/", "/new/"],
    ["/new/*", "", "/new"],
    ["/*", "/b", "/b"],
    ["/*", "", "/"],
    ["/v2-*", "/b/c", "/v2-b/c"],
    ["/*/tail", "/b", "/b/tail"],
    ["/fixed", "/b", "/fixed"],
  ];
  test.each(rewrites)("of %s with %j is %s", (template, remainder, wanted) => {
    expect(rewritePath(template, remainder)).toBe(wanted);
  });

  test("never leads to another host", () => {
    expect(rewritePath("/*", starRemainder(route({ path: "/old/*" }), "/old//evil.example"))).toBe(
      "/evil.example",
    );
  });
});
