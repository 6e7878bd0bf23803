import { expect, test } from "bun:test";
import { differenceText, flow } from "../../src/cli/difference-text.ts";
import type { DocumentChange } from "../../src/mesh.ts";

const change = (more: Partial<DocumentChange>): DocumentChange => ({
  service: "payments",
  key: "timeout",
  kind: "changed",
  before: "2s",
  after: "3s",
  note: null,
  ...more,
});

test("differences stand below their services, and what is no service's beside the margin", () => {
  const changes = [
    change({ service: null, key: "defaults.policy", before: "deny", after: "allow" }),
    change({}),
    change({ key: "allow", kind: "added", before: null, after: { from: "*", path: "/a b" } }),
    change({ key: "routes", before: ["a", "b"], after: ["b", "a"], note: "in another order" }),
    change({ service: "accounts", key: "", kind: "removed", before: {}, after: null }),
    change({ service: "sealed", key: "", before: null, after: null, note: "a secret is another one" }),
  ];
  expect(differenceText({ changes }, (_, text) => text)).toBe(
    [
      "~ defaults.policy: deny -> allow",
      "  payments",
      "  ~ timeout: 2s -> 3s",
      '  + allow: { from: "*", path: "/a b" }',
      "  ~ routes: [a, b] -> [b, a] (in another order)",
      "- accounts",
      "  sealed",
      "  ~ (a secret is another one)",
    ].join("\n"),
  );
});

test("values stand in one line, and long ones are cut", () => {
  expect(flow({ v1: 90, "1": "2", none: null, list: [], map: {} })).toBe(
    '{ 1: "2", v1: 90, none: null, list: [], map: {} }',
  );
  expect(flow("x".repeat(200))).toBe(`${"x".repeat(117)}...`);
});
