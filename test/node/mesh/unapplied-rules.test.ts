import { describe, expect, test } from "bun:test";
import { pathsMeet, unappliedRules } from "../../../src/node/mesh/unapplied-rules.ts";
import type { RouteConfig, Snapshot } from "../../../src/snapshot.ts";
import { filterEntry, meshService, route, serviceConfig } from "./nouns.ts";

const services = ["payments", "orders"].map((name) => serviceConfig(name, { registry: name }));
const forwarding = (...names: string[]): RouteConfig["action"] => ({
  kind: "forward",
  to: names.map((service) => ({ service, version: null, weight: 1 })),
  rewrite: { path: null, host: null },
});
const at = (path: string) => ({ ...route("x").match, path });

function notes(own: RouteConfig, ...theirs: RouteConfig[]): readonly string[] {
  const listeners = [{ routes: [own] }] as unknown as Snapshot["listeners"];
  const payments = meshService("payments", {
    caller: { routes: theirs, service: serviceConfig("payments"), others: [] },
  });
  return unappliedRules({ listeners, services }, (name) =>
    name === "payments" ? payments : meshService(name),
  ).map(({ message }) => message);
}

describe("unappliedRules", () => {
  test("names what a route that shares its requests does not take from the document", () => {
    const shares = route("all", { action: forwarding("payments", "orders") });
    const theirs = route("payments", { filters: [filterEntry("retry")], timeoutMs: 2_000 });
    expect(notes(shares, theirs)).toEqual([
      "the mesh document's rules of payments do not hold for this route, which shares its requests: retry, its time-out",
    ]);
    expect(notes(shares, route("payments"))).toEqual([]);
    expect(notes({ ...shares, filters: [filterEntry("retry")], timeoutMs: 2_000 }, theirs)).toEqual([]);
  });

  test("names a document's path that meets a part of a route's", () => {
    const own = route("payments", { match: at("/users/:id/cards") });
    const theirs = (path: string) => route("payments", { match: at(path), filters: [filterEntry("retry")] });
    expect(notes(own, theirs("/users/7/*"), route("payments"))).toEqual([
      "the mesh document's route /users/7/* of payments meets a part of this route, /users/:id/cards, and does not hold here",
    ]);
    for (const path of ["/users/*", "/orders/*", "/users/7/orders"])
      expect(notes(own, theirs(path))).toEqual([]);
  });
});

test("pathsMeet sees whether any path matches both", () => {
  const cases: readonly [string, string, boolean][] = [
    ["/a/:b", "/:a/b", true],
    ["/a/:b", "/a/b/c", false],
    ["/a/:b/*", "/a/b", true],
    ["/a/b", "/a/c", false],
    ["/:a/x/*", "/b/*", true],
  ];
  for (const [left, right, meet] of cases) {
    expect([left, right, pathsMeet(left, right)]).toEqual([left, right, meet]);
    expect(pathsMeet(right, left)).toBe(meet);
  }
});
