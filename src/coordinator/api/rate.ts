/** How often somebody may ask: a bucket each (GCRA), for as many as asked last. */
import type { Clock } from "../../machine.ts";

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Beyond it the one that asked the longest ago is forgotten, and begins with a full bucket again. */
const keysMax = 20_000;

export class RateBuckets {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  /** When the bucket is full again; in the order of the last request. */
  readonly #fullAtMs = new Map<string, number>();

  constructor(clock: Clock, { perSecond, burst }: Rate) {
    this.#clock = clock;
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = this.#intervalMs * (burst - 1);
  }

  /** 0 when there was a token, else how long until there is one. */
  waitMs(key: string): number {
    const now = this.#clock.now();
    const fullAtMs = Math.max(now, this.#fullAtMs.get(key) ?? now);
    const waitMs = fullAtMs - now - this.#toleranceMs;
    if (waitMs > 0) return waitMs;
    this.#fullAtMs.delete(key);
    this.#fullAtMs.set(key, fullAtMs + this.#intervalMs);
    if (this.#fullAtMs.size > keysMax) this.#fullAtMs.delete(this.#fullAtMs.keys().next().value!);
    return 0;
  }
}
