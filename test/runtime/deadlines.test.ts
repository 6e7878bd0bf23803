import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Clock } from "../../src/machine.ts";
import { type Deadline, Deadlines } from "../../src/runtime/deadlines.ts";
import { VirtualClock } from "../virtual-clock.ts";

const tickMs = 50;

function setUp() {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, { tickMs });
  const expired: { name: string; atMs: number }[] = [];
  const create = (name: string) => deadlines.create(() => expired.push({ name, atMs: clock.now() }));
  return { clock, deadlines, expired, create };
}

describe("deadline", () => {
  test("expires once, not before its time and at most one tick after it", () => {
    const { clock, expired, create } = setUp();
    create("a").set(1_234);
    clock.advance(1_233);
    expect(expired).toEqual([]);
    clock.advance(10_000);
    expect(expired).toHaveLength(1);
    expect(expired[0]!.atMs).toBeGreaterThanOrEqual(1_234);
    expect(expired[0]!.atMs).toBeLessThanOrEqual(1_234 + tickMs);
  });

  test("is late by at most one tick whatever the phase of the ticks", () => {
    for (let phase = 0; phase < tickMs; phase += 7) {
      const { clock, expired, create } = setUp();
      clock.advance(phase);
      create("first").set(phase + 10_000);
      create("a").set(1_234);
      clock.advance(2_000);
      expect(expired.map((entry) => entry.name)).toEqual(["a"]);
      expect(expired[0]!.atMs - 1_234).toBeWithin(0, tickMs + 1);
    }
  });

  test("that passed while the process was held up expires a tick later, when what came meanwhile was read", () => {
    let nowMs = 0;
    let tick = () => {};
    const clock: Clock = {
      now: () => nowMs,
      epochMs: () => nowMs,
      after: () => () => {},
      every: (_periodMs, run) => {
        tick = run;
        return () => {};
      },
    };
    const deadlines = new Deadlines(clock, { tickMs });
    const expired: string[] = [];
    const [silent, heard] = ["silent", "heard"].map((name) => deadlines.create(() => expired.push(name)));
    for (const deadline of [silent, heard]) deadline!.set(1_000);
    nowMs = 3_000;
    tick();
    expect(expired).toEqual([]);
    heard!.set(4_000);
    // However late: a process that is held up all the time must not wait for ever.
    nowMs = 3_500;
    tick();
    expect(expired).toEqual(["silent"]);
  });

  test("moved later does not expire at its first time", () => {
    const { clock, expired, create } = setUp();
    const deadline = create("a");
    deadline.set(1_000);
    clock.advance(900);
    deadline.set(5_000);
    clock.advance(4_000);
    expect(expired).toEqual([]);
    clock.advance(200);
    expect(expired).toHaveLength(1);
  });

  test("moved earlier than its slot expires at the new time", () => {
    const { clock, expired, create } = setUp();
    const deadline = create("a");
    deadline.set(60_000);
    deadline.set(1_000);
    clock.advance(1_000 + tickMs);
    expect(expired).toHaveLength(1);
  });

  test("in the past expires with the next tick, not inside set", () => {
    const { clock, expired, create } = setUp();
    clock.advance(10_000);
    create("a").set(3);
    expect(expired).toEqual([]);
    clock.advance(tickMs);
    expect(expired).toHaveLength(1);
  });

  test("further ahead than a turn of the wheel keeps its time", () => {
    const { clock, expired, create } = setUp();
    const hourMs = 3_600_000;
    create("a").set(hourMs);
    clock.advance(hourMs - 1);
    expect(expired).toEqual([]);
    clock.advance(tickMs);
    expect(expired).toHaveLength(1);
  });

  test("cleared or removed does not expire, and only a cleared one can be set again", () => {
    const { clock, expired, create } = setUp();
    const [cleared, removed] = [create("cleared"), create("removed")];
    cleared.set(500);
    removed.set(500);
    cleared.clear();
    removed.remove();
    expect(cleared.atMs).toBe(Infinity);
    removed.set(600);
    clock.advance(1_000);
    expect(expired).toEqual([]);
    cleared.set(1_500);
    clock.advance(1_000);
    expect(expired.map((entry) => entry.name)).toEqual(["cleared"]);
  });

  test("can be set again by its own callback", () => {
    const clock = new VirtualClock();
    const deadlines = new Deadlines(clock, { tickMs });
    let count = 0;
    const deadline: Deadline = deadlines.create(() => {
      count += 1;
      if (count < 3) deadline.set(clock.now() + 1_000);
    });
    deadline.set(1_000);
    clock.advance(10_000);
    expect(count).toBe(3);
  });

  test("removed by the callback of another in the same slot does not expire", () => {
    const { clock, deadlines, expired, create } = setUp();
    const second = create("second");
    const first = deadlines.create(() => second.remove());
    first.set(1_000);
    second.set(1_000);
    clock.advance(2_000);
    expect(expired).toEqual([]);
  });
});

describe("Deadlines", () => {
  test("tick only while a deadline stands in the wheel", () => {
    const { clock, create } = setUp();
    expect(clock.waiting).toBe(0);
    const deadline = create("a");
    expect(clock.waiting).toBe(0);
    deadline.set(1_000);
    expect(clock.waiting).toBe(1);
    deadline.remove();
    clock.advance(tickMs);
    expect(clock.waiting).toBe(0);
  });

  test("go on after an idle time longer than a turn of the wheel", () => {
    const { clock, expired, create } = setUp();
    create("a").set(100);
    clock.advance(10_000_000);
    create("b").set(10_000_100);
    clock.advance(200);
    expect(expired.map((entry) => entry.name)).toEqual(["a", "b"]);
  });

  test("stop lets nothing expire any more", () => {
    const { clock, deadlines, expired, create } = setUp();
    create("a").set(100);
    deadlines.stop();
    create("b").set(200);
    clock.advance(1_000);
    expect(expired).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  test("now is the time of the last tick or touch", () => {
    const { clock, deadlines, create } = setUp();
    clock.advance(70);
    expect(deadlines.now).toBe(0);
    expect(deadlines.touch()).toBe(70);
    expect(deadlines.now).toBe(70);
    create("a").set(1_000);
    clock.advance(60);
    expect(deadlines.now).toBe(70 + tickMs);
  });

  test("a callback that throws loses no other deadline", () => {
    const { clock, deadlines, expired, create } = setUp();
    deadlines
      .create(() => {
        throw new Error("broken");
      })
      .set(100);
    create("a").set(100);
    create("b").set(5_000);
    expect(() => clock.advance(200)).toThrow("broken");
    clock.advance(200);
    expect(expired.map((entry) => entry.name)).toEqual(["a"]);
    clock.advance(5_000);
    expect(expired.map((entry) => entry.name)).toEqual(["a", "b"]);
  });

  test("agree with a list of times that is searched whole", () => {
    const step = fc.record({
      deadline: fc.nat(5),
      act: fc.constantFrom("set", "set", "set", "clear", "remove", "none"),
      delayMs: fc.oneof(fc.integer({ min: -100, max: 2_000 }), fc.integer({ min: 0, max: 200_000 })),
      passMs: fc.oneof(fc.nat(120), fc.nat(120), fc.nat(100_000)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => agreesWithModel(steps)),
      { numRuns: 300 },
    );
  });
});

interface Step {
  readonly deadline: number;
  readonly act: string;
  readonly delayMs: number;
  readonly passMs: number;
}

/** The model knows each deadline's time; after every step nothing may be early, and nothing over one tick late. */
function agreesWithModel(steps: readonly Step[]): void {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, { tickMs });
  const wantedMs: number[] = Array(6).fill(Infinity);
  const all = wantedMs.map((_, index) =>
    deadlines.create(() => {
      const lateMs = clock.now() - wantedMs[index]!;
      expect(lateMs).toBeWithin(0, tickMs + 1);
      wantedMs[index] = Infinity;
    }),
  );
  const removed = new Set<number>();
  for (const { deadline: index, act, delayMs, passMs } of steps) {
    const deadline = all[index]!;
    // A time in the past counts as now.
    if (act === "set") deadline.set(clock.now() + delayMs);
    if (act === "set" && !removed.has(index)) wantedMs[index] = clock.now() + Math.max(delayMs, 0);
    if (act === "clear") deadline.clear();
    if (act === "remove") deadline.remove();
    if (act === "remove") removed.add(index);
    if (act === "clear" || act === "remove") wantedMs[index] = Infinity;
    clock.advance(passMs);
    for (const atMs of wantedMs) expect(clock.now() - atMs).toBeLessThan(tickMs);
  }
}
