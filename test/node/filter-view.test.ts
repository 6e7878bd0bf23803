import { expect, test } from "bun:test";
import { filtersView, firstEntry } from "../../src/node/filter-view.ts";
import type { FilterEntry, Snapshot } from "../../src/snapshot.ts";
import { code } from "./guard/fake-plugins.ts";

const entry = (name: string, line: number) => ({ name, place: { file: "a.yaml", line } }) as FilterEntry;
const live = {
  plugins: [code("a")],
  listeners: [
    {
      name: "web",
      filters: [entry("headers", 3)],
      routes: [
        {
          name: "/x",
          filters: [entry("./tenant.ts", 7)],
          action: { kind: "forward", to: [{ routes: [{ name: "/x/y", filters: [entry("headers", 9)] }] }] },
        },
      ],
    },
  ],
} as unknown as Snapshot;
const counted = { calls: 4, errors: 1, totalMs: 2 };

test("filtersView shows calls, errors, time, version, places and earlier versions of each filter", () => {
  const filterTotals = [
    { filter: "headers", version: "", calls: 10, errors: 0, totalMs: 0.5 },
    { filter: "./tenant.ts", version: "a", ...counted },
    { filter: "./tenant.ts", version: "b", calls: 20, errors: 20, totalMs: 1 },
    { filter: "gone", version: "", ...counted },
  ];
  const sinceEpochMs = Date.UTC(2026, 0, 1);
  const rollback = {
    plugin: "./tenant.ts",
    cause: "errors",
    why: "it threw",
    heldOff: "b",
    serves: "a",
    sinceEpochMs,
  };
  expect(filtersView({ live, filterTotals, rollbacks: [rollback as never] })).toEqual([
    {
      ...{ name: "headers", version: null, state: "serving", rollback: null },
      ...{ calls: 10, errors: 0, totalMs: 0.5, meanMs: 0.05, earlier: [] },
      ...{ uses: 2, usedAt: ["web (a.yaml:3)", "web /x/y (a.yaml:9)"] },
    },
    {
      ...{ name: "./tenant.ts", version: "a", state: "rolled-back" },
      rollback: { cause: "errors", why: "it threw", heldOff: "b", since: "2026-01-01T00:00:00.000Z" },
      ...{ calls: 4, errors: 1, totalMs: 2, meanMs: 0.5 },
      earlier: [{ version: "b", calls: 20, errors: 20, totalMs: 1, meanMs: 0.05 }],
      ...{ uses: 1, usedAt: ["web /x (a.yaml:7)"] },
    },
  ]);
});

test("filtersView shows a filter that was never called, and at most 20 of its places", () => {
  const filters = Array.from({ length: 21 }, (_, line) => entry("headers", line));
  const many = { plugins: [], listeners: [{ name: "web", filters, routes: [] }] } as unknown as Snapshot;
  const [shown] = filtersView({ live: many, filterTotals: [], rollbacks: [] }) as { usedAt: string[] }[];
  expect(shown).toMatchObject({ calls: 0, meanMs: null, uses: 21 });
  expect(shown!.usedAt).toHaveLength(20);
});

test("firstEntry finds a filter in a service's own rules too", () => {
  const inner = { name: "/x/y", filters: [entry("./inner.ts", 9)] };
  const route = { name: "/x", filters: [], action: { kind: "forward", to: [{ routes: [inner] }] } };
  const shared = { plugins: [], listeners: [{ name: "web", filters: [], routes: [route] }] };
  expect(firstEntry(shared as unknown as Snapshot, "./inner.ts")?.place.line).toBe(9);
  expect(firstEntry(shared as unknown as Snapshot, "./other.ts")).toBeNull();
});

test("filtersView shows nothing before the first config is live", () => {
  expect(filtersView({ live: null, filterTotals: [], rollbacks: [] })).toEqual([]);
});
