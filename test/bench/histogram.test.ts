import { expect, test } from "bun:test";
import { Histogram } from "../../bench/histogram.ts";

test("histogram finds percentiles to 1 %", () => {
  const histogram = new Histogram();
  for (let microseconds = 1; microseconds <= 10_000; microseconds++) histogram.add(microseconds);
  for (const share of [0.5, 0.9, 0.99]) {
    const ratio = histogram.percentileUs(share) / (share * 10_000);
    expect(ratio).toBeGreaterThan(0.99);
    expect(ratio).toBeLessThan(1.0101);
  }
  expect(histogram.percentileUs(1)).toBe(10_000);
  expect(histogram.count).toBe(10_000);
});

test("histogram keeps what is beyond its last bucket", () => {
  const histogram = new Histogram();
  histogram.add(1e12);
  expect(histogram.maxUs).toBe(1e12);
  expect(histogram.percentileUs(0.5)).toBeGreaterThan(1e8);
});

test("histogram without values answers 0", () => {
  expect(new Histogram().percentileUs(0.99)).toBe(0);
});
