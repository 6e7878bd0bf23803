import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { leaseLimit } from "../../src/runtime/limits.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import type { LimitRules, Taken } from "../../src/types.ts";
import { SeededRandom } from "../seeded-random.ts";
import { VirtualClock } from "../virtual-clock.ts";

const perSecond = (requests: number, burst = requests): LimitRules => ({
  requests,
  perMs: 1000,
  burst,
  keys: 1000,
});

/** A node of several workers on one clock. */
function node() {
  const bytes = privateMemory();
  const clock = new VirtualClock();
  let dropped = 0;
  const share = (worker: number) => new NodeMemory(bytes, new SeededRandom(worker + 1)).share(worker);
  const lease = (worker: number, rules: LimitRules, scope = "web/orders") =>
    leaseLimit({ share: share(worker), clock, dropped: () => void dropped++ }, { table: "t", scope }, rules);
  return { clock, share, lease, dropped: () => dropped };
}

/** In whole milliseconds: doubles of them are never exact. */
function rounded(verdict: Taken): Taken {
  const { retryAfterMs, resetMs } = verdict;
  return { ...verdict, retryAfterMs: Math.round(retryAfterMs), resetMs: Math.round(resetMs) };
}

/** The same in the words of a token bucket: as many tokens as it holds, and so many more in a time. */
class Model {
  #tokens: number;
  #atMs = 0;

  constructor(readonly rules: LimitRules) {
    this.#tokens = rules.burst;
  }

  take(nowMs: number): boolean {
    const { requests, perMs, burst } = this.rules;
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * requests) / perMs);
    this.#atMs = nowMs;
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens -= 1;
    return true;
  }

  get tokens(): number {
    return this.#tokens;
  }
}

describe("a limit", () => {
  test("lets the same requests pass as a token bucket, whichever worker is asked", () => {
    const rules = fc.record({
      requests: fc.integer({ min: 1, max: 5000 }),
      perMs: fc.integer({ min: 1, max: 100_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
      keys: fc.constant(1000),
    });
    const steps = fc.array(
      fc.record({
        waitMs: fc.integer({ min: 0, max: 3000 }),
        worker: fc.integer({ min: 0, max: 3 }),
        key: fc.integer({ min: 0, max: 2 }),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(rules, steps, (given, taken) => {
        const { clock, lease } = node();
        const limits = [0, 1, 2, 3].map((worker) => lease(worker, given).limit);
        const models = [0, 1, 2].map(() => new Model(given));
        for (const { waitMs, worker, key } of taken) {
          clock.advance(waitMs);
          const model = models[key]!;
          const allowed = model.take(clock.now());
          const found = limits[worker]!.take(`key ${key}`);
          expect(found.allowed).toBe(allowed);
          expect(found.remaining).toBe(allowed ? Math.floor(model.tokens + 1e-6) : 0);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("says when one more passes, and that one does", () => {
    const { clock, lease } = node();
    const { limit } = lease(0, perSecond(4, 2));
    expect(rounded(limit.take("a"))).toEqual({
      allowed: true,
      remaining: 1,
      retryAfterMs: 0,
      resetMs: 250,
    });
    expect(limit.take("a")).toMatchObject({ allowed: true, remaining: 0 });
    clock.advance(100);
    const refused = limit.take("a");
    expect(rounded(refused)).toEqual({ allowed: false, remaining: 0, retryAfterMs: 150, resetMs: 150 });
    clock.advance(149);
    expect(limit.take("a").allowed).toBe(false);
    clock.advance(1);
    expect(limit.take("a").allowed).toBe(true);
  });

  test("is kept over a reload that leaves its rules, and begins anew with others", () => {
    const { lease } = node();
    const before = lease(0, perSecond(3));
    for (let time = 0; time < 3; time++) before.limit.take("a");
    const [same, other] = [lease(0, perSecond(3)), lease(0, perSecond(5))];
    before.giveBack();
    expect(same.limit.take("a").allowed).toBe(false);
    expect(other.limit.take("a").remaining).toBe(4);
  });

  test("of each scope has keys of its own", () => {
    const { lease } = node();
    const [orders, users] = [lease(0, perSecond(1), "web/orders"), lease(0, perSecond(1), "web/users")];
    expect([orders, users].map(({ limit }) => limit.take("a").allowed)).toEqual([true, true]);
    expect([orders, users].map(({ limit }) => limit.take("a").allowed)).toEqual([false, false]);
  });

  test("forgets those who owe least when it has too many keys, and counts them", () => {
    const { lease, dropped, clock } = node();
    const { limit } = lease(0, perSecond(10));
    for (let time = 0; time < 10; time++) limit.take("greedy");
    for (let key = 0; key < 20_000; key++) limit.take(`key ${key}`);
    // 4,096 slots have an owner; it is luck which sets are fuller than others, and none that any stays empty.
    expect(dropped()).toBe(20_001 - 4096);
    expect(limit.take("greedy").allowed).toBe(false);
    clock.advance(10_000);
    for (let key = 0; key < 20_000; key++) if (key % 2000 === 0) limit.take(`later ${key}`);
    expect(dropped()).toBe(20_001 - 4096);
  });

  test("goes on when the clock is set back by an hour", () => {
    const { lease, clock } = node();
    let setBackMs = 0;
    const epochMs = clock.epochMs.bind(clock);
    clock.epochMs = () => epochMs() - setBackMs;
    clock.advance(7_200_000);
    const { limit } = lease(0, perSecond(2));
    limit.take("a");
    limit.take("a");
    expect(limit.take("a").allowed).toBe(false);
    setBackMs = 3_600_000;
    expect(limit.take("a")).toMatchObject({ allowed: true, remaining: 1 });
  });

  test("refuses rules that it cannot keep", () => {
    const { lease } = node();
    for (const wrong of [
      { requests: 0 },
      { perMs: 0 },
      { burst: 1.5 },
      { keys: 600_000 },
      { perMs: Number.NaN },
    ]) {
      expect(() => lease(0, { ...perSecond(1), ...wrong })).toThrow("cannot limit by {");
    }
  });

  test("is each worker's own where the node has no room left", () => {
    const { lease } = node();
    const many = Array.from({ length: 128 }, (_, number) => lease(0, perSecond(number + 1)));
    expect(many.every(({ shared }) => shared)).toBe(true);
    const [one, other] = [lease(0, perSecond(500, 1)), lease(1, perSecond(500, 1))];
    expect([one.shared, other.shared]).toEqual([false, false]);
    expect([one, other, one].map(({ limit }) => limit.take("a").allowed)).toEqual([true, true, false]);
  });

  test("finds room for every reload of weeks", () => {
    const { share, clock } = node();
    const mine = share(0);
    const lease = (rules: LimitRules) =>
      leaseLimit({ share: mine, clock, dropped: () => {} }, { table: "t", scope: "" }, rules);
    let current = lease(perSecond(1));
    for (let reload = 2; reload < 3000; reload++) {
      const next = lease(perSecond(reload));
      expect(next.shared).toBe(true);
      expect(next.limit.take("a").remaining).toBe(reload - 1);
      current.giveBack();
      current = next;
    }
  });
});
