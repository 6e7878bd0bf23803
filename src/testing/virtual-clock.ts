import type { Clock } from "../machine.ts";

interface Timer {
  atMs: number;
  readonly periodMs: number | null;
  readonly run: () => void;
}

/** Time that passes only when a test says so. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + delayMs, periodMs: null, run });
  }

  every(periodMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + periodMs, periodMs, run });
  }

  /** Timers that wait, for tests that ask whether an idle process sleeps. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; null when none waits. */
  get nextMs(): number | null {
    return this.#earliest()?.atMs ?? null;
  }

  /** Lets time pass and runs what is due on the way: the earlier time first, of one time the timer made first. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (let timer = this.#earliest(); timer !== null && timer.atMs <= endMs; timer = this.#earliest()) {
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      if (timer.periodMs === null) this.#timers.delete(timer);
      else timer.atMs += timer.periodMs;
      timer.run();
    }
    this.#nowMs = endMs;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  #earliest(): Timer | null {
    let earliest: Timer | null = null;
    for (const timer of this.#timers) {
      if (earliest === null || timer.atMs < earliest.atMs) earliest = timer;
    }
    return earliest;
  }
}
