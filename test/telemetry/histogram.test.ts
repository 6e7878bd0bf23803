import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Histogram, scaleOf } from "../../src/telemetry/histogram.ts";

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe("histogram", () => {
  test("quantile is at most 1.6 % off, over the whole range", () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -13 * 1.001, max: 2 ** 22, noNaN: true }), (value) => {
        const read = histogramOf([value]).quantile(0.5)!;
        expect(Math.abs(read - value) / value).toBeLessThan(0.016);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  test("quantile finds the rank among many values", () => {
    const histogram = histogramOf(Array.from({ length: 1000 }, (_, at) => at + 1));
    for (const fraction of [0.01, 0.5, 0.9, 0.99, 1]) {
      const exact = fraction * 1000;
      expect(Math.abs(histogram.quantile(fraction)! - exact) / exact).toBeLessThan(0.016);
    }
  });

  test("quantile of nothing is null", () => {
    expect(new Histogram().quantile(0.5)).toBeNull();
  });

  test("cumulative counts a value that is a bound under that bound", () => {
    const scale = scaleOf([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]);
    const histogram = histogramOf([0.5, 1, 2.5, 5, 10, 25, 50, 100, 100.01 * 1.02]);
    expect(histogram.cumulative(scale)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("cumulative moves a bound by at most 1.6 %", () => {
    const bounds = [0.25, 0.5, 1, 2.5, 5, 10, 30];
    for (const bound of bounds) {
      const scale = scaleOf([bound]);
      expect(histogramOf([bound * 1000 * 0.984, bound * 1000 * 1.016]).cumulative(scale)).toEqual([1, 2]);
    }
  });

  test("record takes zero, negative and no number as zero, and keeps what is too long", () => {
    const histogram = histogramOf([0, -1, Number.NaN, 1e12]);
    expect(histogram.cumulative(scaleOf([0.0005, 30]))).toEqual([3, 3, 4]);
    expect(histogram.sumMs).toBe(1e12);
    expect(histogram.quantile(1)).toBe(2 ** 22);
  });

  test("drain empties, and adding what it took to another gives the same values", () => {
    const values = fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { maxLength: 50 });
    fc.assert(
      fc.property(values, values, (first, second) => {
        const source = histogramOf(first);
        const target = histogramOf(second);
        target.add(source.drain());
        const whole = histogramOf([...second, ...first]);
        const scale = scaleOf([0.001, 0.1, 10]);
        expect(target.cumulative(scale)).toEqual(whole.cumulative(scale));
        expect(target.sumMs).toBeCloseTo(whole.sumMs, 3);
        expect(source.drain()).toEqual({ sumMs: 0, buckets: [] });
      }),
      { seed: 7 },
    );
  });

  test("merge adds and leaves the other as it was", () => {
    const left = histogramOf([1, 2]);
    const right = histogramOf([4000]);
    left.merge(right);
    expect(left.cumulative(scaleOf([1]))).toEqual([2, 3]);
    expect(left.sumMs).toBe(4003);
    expect(right.cumulative(scaleOf([1]))).toEqual([0, 1]);
  });
});
