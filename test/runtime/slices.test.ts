import { expect, test } from "bun:test";
import { atOnce, inSlices, type Steps } from "../../src/runtime/slices.ts";
import { VirtualClock } from "../virtual-clock.ts";

function* work(clock: VirtualClock, stepsMs: readonly number[]): Steps<string> {
  for (const stepMs of stepsMs) {
    clock.advance(stepMs);
    yield;
  }
  return "done";
}

/** Ends each pause; how many there were. */
async function untilDone(clock: VirtualClock, done: Promise<unknown>): Promise<number> {
  let pauses = 0;
  let ended = false;
  void done.finally(() => {
    ended = true;
  });
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    if (ended) return pauses;
    expect(clock.waiting).toBe(1);
    pauses++;
    clock.advance(0);
  }
}

test("inSlices does short work without a pause", async () => {
  const clock = new VirtualClock();
  const { result, held } = await inSlices(work(clock, [0.125, 0.125, 0.125]), clock);
  expect({ result, held }).toEqual({ result: "done", held: { longestMs: 0.375, totalMs: 0.375 } });
});

test("inSlices pauses when a slice was long enough, and tells the longest and all of them", async () => {
  const clock = new VirtualClock();
  const done = inSlices(work(clock, [1, 1, 0.5, 9, 3, 0]), clock);
  expect(await untilDone(clock, done)).toBe(4);
  expect((await done).held).toEqual({ longestMs: 9.5, totalMs: 14.5 });
});

test("atOnce never pauses, and tells how long it took", () => {
  const clock = new VirtualClock();
  const held = { longestMs: 5, totalMs: 5 };
  expect(atOnce(work(clock, [2, 3]), clock)).toEqual({ result: "done", held });
});

test("inSlices rejects with what a step throws", async () => {
  const steps = function* (): Steps<void> {
    yield;
    throw new Error("no such service");
  };
  await expect(inSlices(steps(), new VirtualClock())).rejects.toThrow("no such service");
});
