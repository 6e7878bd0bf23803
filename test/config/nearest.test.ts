import { expect, test } from "bun:test";
import { nearest, nearestHints } from "../../src/config/nearest.ts";

const known = ["requests", "pending", "connections", "to"];

test("nearest finds a word with a letter too many, too few, changed or swapped", () => {
  expect(
    ["requestss", "request", "reqwests", "reuqests", "REQUESTS"].map((word) => nearest(word, known)),
  ).toEqual(Array.from({ length: 5 }, () => "requests"));
});

test("nearest finds none for a word that has little in common", () => {
  expect(["colour", "x", "", "quest", "requirements"].map((word) => nearest(word, known))).toEqual(
    Array.from({ length: 5 }, () => null),
  );
});

test("nearestHints lists the known words when none is near and they are few", () => {
  expect(nearestHints("colour", known)).toEqual(["known here: requests, pending, connections, to"]);
  expect(nearestHints("pendign", known)).toEqual(["did you mean `pending`?"]);
  expect(
    nearestHints(
      "colour",
      Array.from({ length: 25 }, (_, index) => `name-${index}`),
    ),
  ).toEqual([]);
});
