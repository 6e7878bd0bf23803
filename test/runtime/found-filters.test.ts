import { expect, test } from "bun:test";
import { filtersOf } from "../../src/runtime/found-filters.ts";
import type { Snapshot } from "../../src/snapshot.ts";

const entry = (name: string, line: number) => ({ name, place: { file: "clearway.yaml", line } });

const plugins = [{ name: "./a.ts", version: "1", source: { kind: "file", path: "a" } }] as const;

const snapshot = {
  plugins,
  folder: "etc",
  listeners: [
    {
      filters: [entry("headers", 3)],
      routes: [
        { filters: [entry("npm:gone", 7), entry("hono/cors", 8)], action: { kind: "respond" } },
        {
          filters: [entry("npm:gone", 9), entry("headers", 10)],
          action: { kind: "forward", to: [{ routes: [{ filters: [entry("retry", 11)] }] }] },
        },
      ],
    },
  ],
} as unknown as Snapshot;

test("filtersOf finds each name once, from the snapshot's folder, and says where one is that is none", async () => {
  const filters = new Map();
  const asked: unknown[] = [];
  const found = await filtersOf(snapshot, async (names, place) => {
    asked.push([...names], place);
    const refused = new Map([["npm:gone", { refused: "it is gone", hints: [] }]]);
    return { filters, refused, known: [], plugins: [] };
  });
  expect(asked).toEqual([
    ["headers", "npm:gone", "hono/cors", "retry"],
    { folder: "etc", code: { known: plugins } },
  ]);
  expect(found.filters).toBe(filters);
  expect(found.problems).toEqual([
    { place: { file: "clearway.yaml", line: 7 }, message: 'cannot use the filter "npm:gone": it is gone' },
  ]);
});
