import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { alone, inLanes } from "./schedule.ts";

test("inLanes runs every item once, in order, and never more at a time than it has lanes", async () => {
  const begun: number[] = [];
  const busy = new Set<number>();
  const items = Array.from({ length: 20 }, (_, index) => index);
  await inLanes(items, 3, async (item, lane) => {
    expect(busy.has(lane)).toBe(false);
    busy.add(lane);
    begun.push(item);
    for (let turns = item % 4; turns > 0; turns--) await Promise.resolve();
    busy.delete(lane);
  });
  expect(begun).toEqual(items);
});

test("alone names only files that are there", () => {
  const missing = Object.keys(alone).filter((path) => !existsSync(join(import.meta.dir, "..", path)));
  expect(missing).toEqual([]);
});
