import { describe, expect, test } from "bun:test";
import { Standing } from "../../../src/runtime/balance/standing.ts";

const config = { consecutiveErrors: 3, ejectionMs: 30_000, ejectionMaxMs: 100_000, ejectedShareMax: 0.5 };

/** Ejects it, and returns for how long. */
function ejectAt(standing: Standing, nowMs: number): number {
  standing.eject(nowMs, config);
  return standing.ejectedUntilMs - nowMs;
}

describe("standing", () => {
  test("is an outlier's after so many failures in a row, and counts anew then", () => {
    const standing = new Standing();
    const verdicts = Array.from({ length: 7 }, (_, at) => standing.failed(at, config));
    expect(verdicts).toEqual(["fine", "fine", "outlier", "fine", "fine", "outlier", "fine"]);
  });

  test("forgets failures with the first answer", () => {
    const standing = new Standing();
    for (let round = 0; round < 20; round += 1) {
      expect(standing.failed(round, config)).toBe("fine");
      expect(standing.failed(round, config)).toBe("fine");
      standing.succeeded(round);
    }
  });

  test("does not count what fails while it is ejected", () => {
    const standing = new Standing();
    standing.eject(0, config);
    for (let failure = 0; failure < 10; failure += 1) expect(standing.failed(1, config)).toBe("fine");
    expect(standing.failed(30_000, config)).toBe("fine");
  });

  test("fails from when it is kept until it answers a request, or is ejected", () => {
    const standing = new Standing();
    expect([standing.isFailing, standing.succeeded(1)]).toEqual([false, "fine"]);
    standing.keep();
    standing.failed(2, config);
    expect([standing.isFailing, standing.isWell(2)]).toEqual([true, true]);
    expect([standing.succeeded(3), standing.isFailing]).toEqual(["recovered", false]);
    expect(standing.succeeded(4)).toBe("fine");
    standing.keep();
    standing.eject(5, config);
    expect(standing.isFailing).toBe(false);
  });

  test("is well before an ejection and from its end on", () => {
    const standing = new Standing();
    expect(standing.isWell(0)).toBe(true);
    standing.eject(0, config);
    expect(standing.isWell(29_999)).toBe(false);
    expect(standing.isWell(30_000)).toBe(true);
    standing.health = "unhealthy";
    expect(standing.isWell(30_000)).toBe(false);
  });

  test("is ejected longer each time, up to the most", () => {
    const standing = new Standing();
    let now = 0;
    const lengths = Array.from({ length: 5 }, () => {
      const length = ejectAt(standing, now);
      now += length + 1;
      return length;
    });
    expect(lengths).toEqual([30_000, 60_000, 90_000, 100_000, 100_000]);
  });

  test("is ejected a step shorter for each ejection time that it did well", () => {
    const standing = new Standing();
    for (const now of [0, 30_000, 90_000]) standing.eject(now, config);
    expect(standing.ejectedUntilMs).toBe(180_000);
    expect(ejectAt(standing, 180_000 + 2 * 30_000)).toBe(60_000);
    expect(ejectAt(standing, 1e9)).toBe(30_000);
  });

  test("counts another worker's ejection like an own one", () => {
    const standing = new Standing();
    standing.ejectedElsewhere(0, 30_000, config);
    expect(standing.isWell(29_999)).toBe(false);
    expect(ejectAt(standing, 30_001)).toBe(60_000);
  });

  test("counts an ejection once that two workers saw, or that is told again, also just after its end", () => {
    const standing = new Standing();
    standing.eject(0, config);
    standing.ejectedElsewhere(100, 30_100, config);
    standing.ejectedElsewhere(30_001, 30_100, config);
    expect(standing.isWell(30_001)).toBe(true);
    expect(ejectAt(standing, 30_001)).toBe(60_000);
  });

  test("takes no notice of an ejection that is over", () => {
    const standing = new Standing();
    standing.ejectedElsewhere(50_000, 49_000, config);
    expect(standing.isWell(50_000)).toBe(true);
    expect(ejectAt(standing, 50_000)).toBe(30_000);
  });

  test("warms evenly from a tenth, also after an ejection", () => {
    const standing = new Standing();
    expect(standing.warmth(0, 10_000)).toBe(1);
    standing.startedAtMs = 0;
    expect([0, 500, 1_000, 5_000, 9_000, 10_000, 1e9].map((now) => standing.warmth(now, 10_000))).toEqual([
      0.1, 0.1, 0.1, 0.5, 0.9, 1, 1,
    ]);
    standing.eject(1e9, config);
    expect(standing.warmth(standing.ejectedUntilMs + 5_000, 10_000)).toBe(0.5);
    expect(standing.warmth(standing.ejectedUntilMs, 0)).toBe(1);
  });
});
