import { expect, test } from "bun:test";
import { LiveDocument } from "../../../src/node/mesh/live-document.ts";

function watching() {
  const told: number[] = [];
  const live = new LiveDocument((version) => told.push(version));
  const known = (document: number, inputs: string) => ({ document, inputs: () => inputs });
  return { live, told, known };
}

test("a version holds when the snapshot that was made of it is live, not before", () => {
  const { live, told, known } = watching();
  live.loaded(1, { document: 7, inputs: "rules of 7" });
  live.heard(known(7, "rules of 7"));
  live.serves(99, known(7, "rules of 7"));
  expect(told).toEqual([]);
  live.serves(1, known(7, "rules of 7"));
  expect(told).toEqual([7]);
});

test("a version that says nothing new to the node holds at once, one that does not", () => {
  const { live, told, known } = watching();
  live.loaded(1, { document: 7, inputs: "rules" });
  live.serves(1, known(7, "rules"));
  live.heard(known(8, "rules"));
  live.heard(known(9, "others"));
  live.heard(known(8, "rules"));
  expect(told).toEqual([7, 8]);
});

test("a version that came while another was made live, and said nothing new, holds with it", () => {
  const { live, told, known } = watching();
  live.loaded(1, { document: 7, inputs: "rules" });
  live.heard(known(8, "rules"));
  live.serves(1, known(8, "rules"));
  expect(told).toEqual([7, 8]);
});

test("a coordinator that lost its store counts anew: an earlier version holds too, and none is told of where it has none", () => {
  const { live, told, known } = watching();
  live.loaded(1, { document: 7, inputs: "rules" });
  live.serves(1, known(7, "rules"));
  live.heard(known(0, "rules"));
  live.heard(known(1, "rules"));
  live.loaded(2, { document: 2, inputs: "others" });
  live.serves(2, known(2, "others"));
  expect(told).toEqual([7, 1, 2]);
});
