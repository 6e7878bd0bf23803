import type { Random } from "../../machine.ts";

/** Waits that double, and differ from node to node: those that lost one coordinator do not all come back at once. */
export class Backoff {
  readonly #random: Random;
  readonly #firstMs: number;
  readonly #maxMs: number;
  #failures = 0;

  constructor(random: Random, firstMs: number, maxMs: number) {
    this.#random = random;
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** After one more failure. From half of the time to all of it. */
  nextMs(): number {
    const fullMs = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#failures);
    if (fullMs < this.#maxMs) this.#failures++;
    return fullMs * (0.5 + 0.5 * this.#random.fraction());
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
