import { expect, test } from "bun:test";
import fc from "fast-check";
import { hidingRoutes } from "../../src/config/hidden-routes.ts";
import { createMatcher } from "../../src/runtime/match.ts";
import { finished } from "../../src/runtime/slices.ts";
import type { NamedValueMatch, RouteMatch, ValueMatch } from "../../src/snapshot.ts";
import type { FieldTable, RequestHead } from "../../src/types.ts";

const any: RouteMatch = { host: null, path: null, methods: [], headers: [], query: [] };
const header = (value: string): NamedValueMatch => ({ name: "x", match: { kind: "exact", value } });
const hidden = (...matches: Partial<RouteMatch>[]) =>
  Object.fromEntries(hidingRoutes(matches.map((match) => ({ ...any, ...match }))));

test("hidingRoutes finds the same match again, whatever its parameters are called", () => {
  expect(hidden({ path: "/a" }, { path: "/b" }, { path: "/a" })).toEqual({ 2: 0 });
  expect(hidden({ path: "/a/:id/*" }, { path: "/a/:name/*" })).toEqual({ 1: 0 });
});

test("hidingRoutes finds the later of two routes whose methods are among the earlier's", () => {
  expect(hidden({ methods: ["GET", "PUT"] }, { methods: ["GET"] })).toEqual({ 1: 0 });
  expect(hidden({ methods: ["GET"] }, { methods: ["GET", "PUT"] })).toEqual({});
});

test("hidingRoutes knows that a method, a header or a query field wins over none", () => {
  expect(hidden({}, { methods: ["GET"] }, { headers: [header("1")] }, { query: [header("1")] })).toEqual({});
});

test("hidingRoutes compares values: exact within its prefix, both within present", () => {
  const present: NamedValueMatch = { name: "x", match: { kind: "present" } };
  const prefix: NamedValueMatch = { name: "x", match: { kind: "prefix", value: "ab" } };
  expect(hidden({ headers: [prefix] }, { headers: [header("abc")] }, { headers: [header("b")] })).toEqual({
    1: 0,
  });
  expect(hidden({ query: [present] }, { query: [prefix] }, { query: [header("b")] })).toEqual({ 1: 0, 2: 0 });
  expect(hidden({ headers: [header("abc")] }, { headers: [prefix] }, { headers: [present] })).toEqual({});
});

test("hidingRoutes names one that is not hidden itself", () => {
  expect(hidden({}, {}, {})).toEqual({ 1: 0, 2: 0 });
});

test("hidingRoutes leaves out matches that could not be read", () => {
  expect(hidingRoutes([null, any, null, any])).toEqual(new Map([[3, 1]]));
});

test("hidingRoutes finds the hidden ones among 20,000 routes", () => {
  const same = Array.from({ length: 10_000 }, (_, index) => ({ ...any, headers: [header(String(index))] }));
  const apart = Array.from({ length: 10_000 }, (_, index) => ({ ...any, path: `/${index}` }));
  const hiding = hidingRoutes([...same, ...apart, any, any, { ...any, headers: [header("77")] }]);
  expect(Object.fromEntries(hiding)).toEqual({ 20001: 20_000, 20002: 77 });
});

const value: fc.Arbitrary<ValueMatch> = fc.oneof(
  fc.constantFrom("a", "ab").map((text): ValueMatch => ({ kind: "exact", value: text })),
  fc.constantFrom("a", "ab").map((text): ValueMatch => ({ kind: "prefix", value: text })),
  fc.constant<ValueMatch>({ kind: "present" }),
);
const values = fc
  .dictionary(fc.constantFrom("x", "y"), value, { maxKeys: 2 })
  .map((record) => Object.entries(record).map(([name, match]): NamedValueMatch => ({ name, match })));
const match: fc.Arbitrary<RouteMatch> = fc.record({
  host: fc.constantFrom(null, "h.example", "*.example"),
  path: fc.constantFrom(null, "/*", "/a", "/a/*", "/:b", "/:c", "/a/:d"),
  methods: fc.subarray(["GET", "PUT"]),
  headers: values,
  query: values,
});

const options = [null, "a", "ab", "b"];
const heads = ["h.example", "i.example", "other"].flatMap((host) =>
  ["/", "/a", "/a/", "/a/b", "/b"].flatMap((path) =>
    ["GET", "PUT", "POST"].flatMap((method) =>
      options.flatMap((x) => options.map((y) => headOf({ host, path, method, x, y }))),
    ),
  ),
);

test("hidingRoutes never names a route that the matcher can choose", () => {
  fc.assert(
    fc.property(fc.array(match, { minLength: 2, maxLength: 8 }), (matches) => {
      const hiding = hidingRoutes(matches);
      const matcher = finished(createMatcher(matches.map((one, index) => ({ match: one, value: index }))));
      for (const head of heads) {
        const chosen = matcher.find(head);
        expect(chosen !== null && hiding.has(chosen)).toBe(false);
      }
    }),
    { numRuns: 60 },
  );
});

interface HeadSource {
  readonly host: string;
  readonly path: string;
  readonly method: string;
  readonly x: string | null;
  readonly y: string | null;
}

/** The same values as header and as query fields. */
function headOf({ host, path, method, x, y }: HeadSource): RequestHead {
  const given = [
    ["x", x],
    ["y", y],
  ].filter((field): field is [string, string] => field[1] !== null);
  const query = given.map(([name, text]) => `${name}=${text}`).join("&");
  return { method, scheme: "http", authority: host, host, path, query, fields: fieldsOf(given) };
}

function fieldsOf(given: readonly [string, string][]): FieldTable {
  const offsets: number[] = [];
  let text = "";
  for (const [name, field] of given) {
    offsets.push(text.length, text.length + name.length);
    text += `${name}: `;
    offsets.push(text.length, text.length + field.length);
    text += `${field}\r\n`;
  }
  return { bytes: Buffer.from(text, "latin1"), offsets: Int32Array.from(offsets), count: given.length };
}
