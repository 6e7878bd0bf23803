/** What may happen a thousand times a second is said once a second, with how often it was not said. */
import type { Deadlines } from "./deadlines.ts";

const PERIOD_MS = 1_000;

export class OccasionalNote {
  readonly #deadlines: Deadlines;
  #saidAtMs = -Infinity;
  #unsaid = 0;

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  note(say: (unsaid: number) => void): void {
    const { now } = this.#deadlines;
    if (now - this.#saidAtMs < PERIOD_MS) {
      this.#unsaid++;
      return;
    }
    say(this.#unsaid);
    this.#saidAtMs = now;
    this.#unsaid = 0;
  }
}
