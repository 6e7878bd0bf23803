/**
 * Work that may take long, done in slices with a pause after each, so that requests are served meanwhile. It is written
 * as a generator: `yield` says where it may be interrupted.
 */
import type { Clock } from "../machine.ts";

export type Steps<Result> = Generator<void, Result, void>;

/** How long no request was served because of some work. */
export interface Held {
  /** The longest slice. */
  readonly longestMs: number;
  /** All slices together. */
  readonly totalMs: number;
}

/** A slice ends with the first step that ends after this: requests come later by hardly more. */
const sliceMs = 1;

export async function inSlices<Result>(
  steps: Steps<Result>,
  clock: Clock,
): Promise<{ readonly result: Result; readonly held: Held }> {
  let held = heldFor(0);
  for (;;) {
    const startMs = clock.now();
    let step = steps.next();
    while (step.done !== true && clock.now() - startMs < sliceMs) step = steps.next();
    held = bothHeld(held, heldFor(clock.now() - startMs));
    if (step.done === true) return { result: step.value, held };
    await new Promise<void>((resolve) => void clock.after(0, resolve));
  }
}

/** Where nobody is served yet, so that nobody waits. */
export function atOnce<Result>(
  steps: Steps<Result>,
  clock: Clock,
): { readonly result: Result; readonly held: Held } {
  const startMs = clock.now();
  const result = finished(steps);
  return { result, held: heldFor(clock.now() - startMs) };
}

/** Without a pause. */
export function finished<Result>(steps: Steps<Result>): Result {
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

export function heldFor(sliceMs: number): Held {
  return { longestMs: sliceMs, totalMs: sliceMs };
}

/** One after the other, with a pause between them. */
export function bothHeld(left: Held, right: Held): Held {
  return { longestMs: Math.max(left.longestMs, right.longestMs), totalMs: left.totalMs + right.totalMs };
}
