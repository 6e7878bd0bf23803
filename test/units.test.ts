import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  duration,
  formatDuration,
  formatPercent,
  formatSize,
  parseDuration,
  parsePercent,
  parseSize,
  percent,
  size,
} from "../src/units.ts";

test("parseDuration reads every unit as milliseconds", () => {
  expect(["250ms", "2s", "1.5s", "1.1s", "1m", "0.5h", "0s"].map(parseDuration)).toEqual([
    250, 2000, 1500, 1100, 60_000, 1_800_000, 0,
  ]);
});

test("parseDuration refuses what has no unit, another unit, a sign, a space, or is finer than a millisecond", () => {
  for (const text of [
    "",
    "5",
    "s",
    "5 s",
    "5S",
    "-5s",
    "+5s",
    "1e3s",
    ".5s",
    "5.s",
    "0.5ms",
    "1m30s",
    "5d",
    "∞s",
  ]) {
    expect(parseDuration(text)).toBeNull();
  }
});

test("parseSize reads every unit as bytes", () => {
  expect(["512B", "64KiB", "1.5MiB", "2GiB"].map(parseSize)).toEqual([512, 65_536, 1_572_864, 2_147_483_648]);
});

test("parseSize refuses decimal units and parts of a byte", () => {
  for (const text of ["64", "64kB", "64KB", "64K", "64kib", "0.5B", "0.3KiB"])
    expect(parseSize(text)).toBeNull();
});

test("parsePercent reads fractions up to 100%", () => {
  expect(["0%", "20%", "0.5%", "100%"].map(parsePercent)).toEqual([0, 0.2, 0.005, 1]);
  for (const text of ["20", "101%", "-1%", "20 %", "%"]) expect(parsePercent(text)).toBeNull();
});

test("formatDuration, formatSize and formatPercent write what the parsers read back", () => {
  const natural = fc.integer({ min: 0, max: 2 ** 40 });
  fc.assert(fc.property(natural, (value) => parseDuration(formatDuration(value)) === value));
  fc.assert(fc.property(natural, (value) => parseSize(formatSize(value)) === value));
  const share = fc.integer({ min: 0, max: 1_000_000 }).map((parts) => parts / 1_000_000);
  fc.assert(
    fc.property(
      share,
      (value) => Math.abs((parsePercent(formatPercent(value)) ?? Number.NaN) - value) < 1e-9,
    ),
  );
});

test("formatDuration and formatSize choose the largest unit that stays whole", () => {
  expect([0, 250, 90_000, 300_000, 3_600_000].map(formatDuration)).toEqual([
    "0ms",
    "250ms",
    "90s",
    "5m",
    "1h",
  ]);
  expect([0, 1000, 61_440, 1 << 20].map(formatSize)).toEqual(["0B", "1000B", "60KiB", "1MiB"]);
});

test("duration and size take their bounds and nothing beyond", () => {
  const wait = duration({ minMs: 10, maxMs: 1000 });
  expect([wait.parse("10ms"), wait.parse("1s")]).toEqual([10, 1000]);
  expect(wait.safeParse("9ms").error?.issues[0]?.message).toBe("wanted a duration from 10ms to 1s");
  expect(wait.safeParse("1001ms").success).toBe(false);
  expect(wait.safeParse(5).error?.issues[0]?.message).toBe("wanted a duration such as 250ms, 2s or 1m");
  const length = size({ minBytes: 1, maxBytes: 1024 });
  expect(length.parse("1KiB")).toBe(1024);
  expect(length.safeParse("0B").success || length.safeParse("1025B").success).toBe(false);
});

test("percent takes text, and a bare number of per cents", () => {
  expect([percent().parse("10%"), percent().parse(10)]).toEqual([0.1, 0.1]);
  for (const value of [101, -1, "10", true]) expect(percent().safeParse(value).success).toBe(false);
});
