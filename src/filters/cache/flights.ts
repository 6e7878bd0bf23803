/**
 * Single flight: of several requests for the same address that is not kept, one is sent, and the others wait for what
 * comes of it.
 */
import type { Clock } from "../../plugin.ts";

/** Requests of one worker that are sent while others may wait for them. */
const FLIGHTS_MAX = 10_000;
/** Requests that wait for one; further ones are sent themselves. */
const WAITERS_MAX = 10_000;

/**
 * `kept`: there is an answer now. `not kept`: it is for its own caller only. `failed`: there was none, and the next one
 * may try. `late`: the wait is over, or the caller left.
 */
export type Landing = "kept" | "not kept" | "failed" | "late";

export interface Flight {
  /** Once; tells all who wait. */
  land(landing: Exclude<Landing, "late">): void;
}

export interface Wait {
  readonly clock: Clock;
  readonly milliseconds: number;
  readonly signal: AbortSignal;
}

export class Flights {
  readonly #waiting = new Map<string, Set<(landing: Landing) => void>>();

  get size(): number {
    return this.#waiting.size;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** Null when there is one already, or too many. */
  begin(key: string): Flight | null {
    if (this.#waiting.has(key) || this.#waiting.size >= FLIGHTS_MAX) return null;
    const waiting = new Set<(landing: Landing) => void>();
    this.#waiting.set(key, waiting);
    return {
      land: (landing) => {
        if (this.#waiting.get(key) !== waiting) return;
        this.#waiting.delete(key);
        for (const tell of waiting) tell(landing);
      },
    };
  }

  /** What comes of the one that is under way. */
  wait(key: string, { clock, milliseconds, signal }: Wait): Promise<Landing> {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return Promise.resolve("failed");
    if (waiting.size >= WAITERS_MAX || milliseconds <= 0 || signal.aborted) return Promise.resolve("late");
    return new Promise((resolve) => {
      const end = (landing: Landing) => {
        waiting.delete(end);
        cancel();
        signal.removeEventListener("abort", left);
        resolve(landing);
      };
      const left = () => end("late");
      const cancel = clock.after(milliseconds, left);
      signal.addEventListener("abort", left, { once: true });
      waiting.add(end);
    });
  }
}
