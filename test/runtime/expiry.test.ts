import { describe, expect, test } from "bun:test";
import { expiry } from "../../src/runtime/expiry.ts";
import { VirtualClock } from "../virtual-clock.ts";

describe("expiry", () => {
  test("comes at its time, once, and not when it was cancelled", () => {
    const clock = new VirtualClock();
    const expired: number[] = [];
    expiry(clock, 10, () => expired.push(clock.now()));
    const cancel = expiry(clock, 10, () => expired.push(-1));
    clock.advance(9);
    expect(expired).toEqual([]);
    cancel();
    clock.advance(100);
    expect(expired).toEqual([10]);
    expect(clock.waiting).toBe(0);
  });

  test("comes after what came by then: an answer that was there in time is not late", () => {
    const clock = new VirtualClock();
    const heard: string[] = [];
    const cancel = expiry(clock, 10, () => heard.push("too late"));
    // As a socket's data that is read after the timers of the same turn.
    clock.after(10, () => {
      heard.push("an answer");
      cancel();
    });
    clock.advance(100);
    expect(heard).toEqual(["an answer"]);
  });
});
