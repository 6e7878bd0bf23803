import { expect, test } from "bun:test";
import { BoundedMap } from "../../../src/filters/who/bounded-map.ts";

test("BoundedMap forgets the oldest when it has too many entries or characters", () => {
  const map = new BoundedMap<number>({ entriesMax: 3, charactersMax: 10 });
  for (const [index, text] of ["a", "b", "c", "d"].entries()) map.set(text, index);
  expect([map.get("a"), map.get("b"), map.get("d"), map.size]).toEqual([undefined, 1, 3, 3]);
  map.set("eeeeeeeee", 4);
  expect([map.get("c"), map.get("d"), map.get("eeeeeeeee"), map.size]).toEqual([undefined, 3, 4, 2]);
  map.set("x".repeat(11), 5);
  expect([map.get("x".repeat(11)), map.size]).toEqual([undefined, 2]);
  map.set("d", 6);
  map.set("f", 7);
  expect([map.get("eeeeeeeee"), map.get("d"), map.get("f")]).toEqual([undefined, 6, 7]);
  map.clear();
  map.set("0123456789", 8);
  expect([map.size, map.get("0123456789")]).toEqual([1, 8]);
});
