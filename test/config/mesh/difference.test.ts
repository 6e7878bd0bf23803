import { expect, test } from "bun:test";
import fc from "fast-check";
import { difference } from "../../../src/config/mesh/difference.ts";
import type { CheckedDocument } from "../../../src/mesh.ts";
import { documentOf, loadDocument } from "./loading.ts";

const payments = "  payments: { allow: [{ from: storefront }], timeout: 2s }\n";
const storefront = "  storefront: {}\n";

async function changes(before: string, after: string) {
  return difference(await documentOf(before), await documentOf(after)).changes;
}

test("a document and itself differ in nothing, wherever its lines are", async () => {
  expect(await changes(storefront + payments, `\n# moved\n${payments}${storefront}`)).toEqual([]);
});

test("a key that changed is told with its old and its new value", async () => {
  const after = payments.replace("2s", "3s");
  expect(await changes(storefront + payments, storefront + after)).toEqual([
    { service: "payments", key: "timeout", kind: "changed", before: "2s", after: "3s", note: null },
  ]);
});

test("services come and go as a whole", async () => {
  const gone = await changes(storefront + payments, storefront);
  expect(gone).toMatchObject([{ service: "payments", key: "", kind: "removed", after: null }]);
  expect(gone[0]!.before).toMatchObject({ allow: [{ from: "storefront" }], timeout: "2s" });
  const come = await changes(storefront, storefront + payments);
  expect(come).toMatchObject([{ service: "payments", key: "", kind: "added", before: null }]);
});

test("rules of a list come and go one by one, and change where they are", async () => {
  const more = payments.replace("[{ from: storefront }]", '[{ from: "*", path: /a }, { from: storefront }]');
  expect(await changes(storefront + payments, storefront + more)).toEqual([
    {
      ...{ service: "payments", key: "allow", kind: "added", before: null, note: null },
      after: { from: "*", path: "/a" },
    },
  ]);
  const other = payments.replace("{ from: storefront }", "{ from: storefront, method: POST }");
  expect(await changes(storefront + payments, storefront + other)).toMatchObject([
    { key: "allow[0].method", kind: "added", after: "POST" },
  ]);
});

test("routes are known by their names, wherever they stand", async () => {
  const route = (path: string, timeout: string) =>
    `      - { match: { path: ${path} }, timeout: ${timeout} }\n`;
  const service = (routes: string) => `  payments:\n    routes:\n${routes}`;
  const before = service(route("/a", "1s") + route("/b", "1s"));
  expect(
    await changes(before, service(route("/a", "1s") + route("/c", "1s") + route("/b", "2s"))),
  ).toMatchObject([
    { key: 'routes["payments/c"]', kind: "added" },
    { key: 'routes["payments/b"].timeout', before: "1s", after: "2s" },
  ]);
  expect(await changes(before, service(route("/b", "1s") + route("/a", "1s")))).toMatchObject([
    { key: "routes", kind: "changed", note: "in another order" },
  ]);
});

test("a secret that changed is told, and not shown", async () => {
  const of = async (key: string) => {
    const text = `trustDomain: a.example\nservices: { payments: { inbound: [api-key: { keys: { one: "$\{KEY}" } }] } }\n`;
    return (await loadDocument({ "mesh.yaml": text }, { KEY: key })).document!;
  };
  const { changes: told } = difference(await of("one-secret-of-many"), await of("another-secret-of-many"));
  expect(told).toEqual([
    {
      ...{ service: "payments", key: "", kind: "changed", before: null, after: null },
      note: "a secret, or a file that it names, is another one",
    },
  ]);
});

test("what is said of all, and the code of filters, belongs to no service", async () => {
  const document = await documentOf(storefront);
  const other = await documentOf(storefront, "defaults: { policy: allow }");
  const code = { name: "./plugins/a.ts", source: { kind: "bundle", text: "", imports: [] } } as const;
  const withCode = (version: string): CheckedDocument => ({
    ...other,
    config: { ...other.config, plugins: [{ ...code, version }] },
  });
  expect(difference(document, withCode("1")).changes).toEqual([
    {
      ...{ service: null, key: "defaults.policy", kind: "changed", before: "deny", after: "allow" },
      note: null,
    },
    {
      ...{ service: null, key: "./plugins/a.ts", kind: "added", before: null, after: "1" },
      note: "the code of a filter",
    },
  ]);
  expect(difference(withCode("1"), withCode("2")).changes).toMatchObject([{ before: "1", after: "2" }]);
});

test("everything is new where nothing was applied yet", async () => {
  const { changes: told } = difference(null, await documentOf(storefront));
  expect(told.find(({ service }) => service === "storefront")).toMatchObject({ kind: "added", key: "" });
  expect(told.every(({ kind }) => kind === "added")).toBe(true);
});

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(1, 2, "a", "b", true),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("name", "x", "y", "0"), tie("value"), { maxKeys: 3 }),
  ),
})).value;
const document = fc
  .dictionary(fc.constantFrom("a", "b", "c"), fc.dictionary(fc.constantFrom("k", "l"), value), { maxKeys: 3 })
  .map((services) => ({
    config: { trustDomain: "a", egress: "allow" as const, services: [], plugins: [] },
    resolved: { trustDomain: "a", services },
  }));

test("there is a change exactly where two documents differ, and the way back is the same one", () => {
  fc.assert(
    fc.property(document, document, (one, other) => {
      const there = difference(one, other).changes;
      const back = difference(other, one).changes;
      expect(there.length === 0).toBe(Bun.deepEquals(one, other));
      const turned = { added: "removed", removed: "added", changed: "changed" } as const;
      const key = (change: (typeof there)[number]) => JSON.stringify(change);
      const mirrored = back.map((change) => ({
        ...change,
        kind: turned[change.kind],
        before: change.after,
        after: change.before,
      }));
      expect(mirrored.map(key).toSorted()).toEqual(there.map(key).toSorted());
    }),
    { numRuns: 500 },
  );
});
