/** Waiting by the clock that was given. */
import type { Clock, Random } from "../machine.ts";

export interface PauseRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Waits somewhere in the range, as work or a person does. */
export type Pause = (range: PauseRange) => Promise<void>;

export function pauses(clock: Clock, random: Random): Pause {
  return ({ fromMs, toMs }) => wait(clock, fromMs + random.fraction() * (toMs - fromMs));
}

export function wait(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
