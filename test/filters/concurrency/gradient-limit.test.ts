import { describe, expect, test } from "bun:test";
import { type GradientBounds, GradientLimit } from "../../../src/filters/concurrency/gradient-limit.ts";
import { VirtualClock } from "../../virtual-clock.ts";

const bounds: GradientBounds = { min: 5, max: 1000, initial: 20 };

interface Load {
  readonly forMs: number;
  /** Requests that callers would like to have under way. */
  readonly wanted: number;
  /** How many the service works on at once; the others wait in it. */
  readonly capacity: number;
  readonly workMs: number;
}

/** One time for all that is asked of one limit. */
const clock = new VirtualClock();

/** A service that works on so many at once, and callers that ask again at once; the mean limit of the last quarter. */
function run(
  limit: GradientLimit,
  { forMs, wanted, capacity, workMs }: Load,
): { limit: number; refused: number } {
  const queue: (() => void)[] = [];
  let [working, open, refused] = [0, 0, 0];
  const work = (done: () => void): void => {
    working += 1;
    clock.after(workMs, () => {
      working -= 1;
      done();
      const next = queue.shift();
      if (next !== undefined) work(next);
    });
  };
  const ask = (): void => {
    while (open < wanted) {
      if (!limit.enter()) {
        refused += 1;
        return;
      }
      open += 1;
      const began = clock.now();
      const done = () => {
        open -= 1;
        limit.leave();
        limit.sample(clock.now() - began, clock.now());
      };
      if (working < capacity) work(done);
      else queue.push(done);
    }
  };
  const stop = clock.every(5, ask);
  const seen: number[] = [];
  for (let timeMs = 0; timeMs < forMs; timeMs += 100) {
    clock.advance(100);
    if (timeMs > (forMs * 3) / 4) seen.push(limit.limit);
  }
  stop();
  while (open > 0) clock.advance(100);
  return { limit: seen.reduce((sum, one) => sum + one, 0) / seen.length, refused };
}

describe("GradientLimit", () => {
  test("rises to what callers want where the service has room for it", () => {
    const limit = new GradientLimit(bounds);
    const found = run(limit, { forMs: 120_000, wanted: 200, capacity: 1000, workMs: 20 });
    expect(found.limit).toBeGreaterThanOrEqual(200);
    // Of a limit twice as high as what is under way nothing can be learnt.
    expect(found.limit).toBeLessThan(450);
  });

  test("stays near what the service works on at once, however much callers want", () => {
    for (const capacity of [20, 60]) {
      const found = run(new GradientLimit(bounds), { forMs: 120_000, wanted: 2000, capacity, workMs: 20 });
      expect(found.limit).toBeGreaterThan(capacity);
      expect(found.limit).toBeLessThan(capacity * 3);
      expect(found.refused).toBeGreaterThan(0);
    }
  });

  test("falls when the service becomes slower, and rises again with it", () => {
    const limit = new GradientLimit(bounds);
    const well = run(limit, { forMs: 60_000, wanted: 500, capacity: 100, workMs: 20 }).limit;
    const slow = run(limit, { forMs: 30_000, wanted: 500, capacity: 100, workMs: 100 }).limit;
    const again = run(limit, { forMs: 60_000, wanted: 500, capacity: 100, workMs: 20 }).limit;
    expect(slow).toBeLessThan(well / 2);
    expect(again).toBeGreaterThan(well * 0.8);
  });

  test("keeps within its bounds", () => {
    const narrow = { min: 30, max: 40, initial: 1 };
    const limit = new GradientLimit(narrow);
    expect(limit.limit).toBe(30);
    expect(run(limit, { forMs: 30_000, wanted: 500, capacity: 500, workMs: 20 }).limit).toBe(40);
    run(limit, { forMs: 30_000, wanted: 500, capacity: 5, workMs: 200 });
    expect(limit.limit).toBeGreaterThanOrEqual(30);
  });

  test("lets no more than the limit in", () => {
    const limit = new GradientLimit({ min: 2, max: 2, initial: 2 });
    expect([limit.enter(), limit.enter(), limit.enter(), limit.open]).toEqual([true, true, false, 2]);
    limit.leave();
    expect(limit.enter()).toBe(true);
  });
});
