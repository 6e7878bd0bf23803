import { expect, test } from "bun:test";
import { median, pairedRatio, spreadOf, verdictOf } from "../../bench/statistics.ts";

test("median takes the middle value, and the mean of two", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test("pairedRatio divides within each round, and leaves out a round that one of the two lacks", () => {
  const row = new Map([
    [1, 12],
    [2, 30],
    [3, 99],
  ]);
  const reference = new Map([
    [1, 10],
    [2, 20],
    [4, 1],
  ]);
  expect(pairedRatio(row, reference)).toEqual({
    ...{ median: 1.35, min: 1.2, max: 1.5, rounds: 2 },
    ...{ low: 1.2, high: 1.5 },
  });
  expect(pairedRatio(row, new Map())).toBeNull();
});

test("verdictOf is undecided when the rounds straddle the margin", () => {
  expect(verdictOf(spreadOf([1.1, 1.2, 1.3]), 1.25)).toBe("undecided");
  expect(verdictOf(spreadOf([1.1, 1.2, 1.25]), 1.25)).toBe("within");
  expect(verdictOf(spreadOf([1.26, 1.3, 1.4]), 1.25)).toBe("over");
});

test("verdictOf is undecided with fewer than three rounds", () => {
  expect(verdictOf(spreadOf([1, 1]), 1.25)).toBe("undecided");
});

test("spreadOf leaves out of nine rounds the lowest and the highest, and of five none", () => {
  const nine = spreadOf([9, 1, 8, 2, 7, 3, 6, 4, 5]);
  expect(nine).toEqual({ median: 5, min: 1, max: 9, low: 2, high: 8, rounds: 9 });
  expect(spreadOf([1, 2, 3, 4, 5])).toMatchObject({ low: 1, high: 5 });
  expect(spreadOf([1, 2, 3, 4, 5, 6])).toMatchObject({ low: 1, high: 6 });
  expect(spreadOf(Array.from({ length: 20 }, (_, index) => index))).toMatchObject({ low: 5, high: 14 });
});

test("verdictOf lets one round of nine lie on the other side", () => {
  const rounds = [1, 1, 1, 1, 1, 1, 1, 1];
  expect(verdictOf(spreadOf([...rounds, 2]), 1.05)).toBe("within");
  expect(verdictOf(spreadOf([...rounds.slice(1), 2, 2]), 1.05)).toBe("undecided");
});
