import type { Clock } from "../../machine.ts";
import type { Log } from "../../types.ts";

/** Something that fails now: said when it begins and when it ends, not each time between. */
export class Outage {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #what: string;
  #problem: string | null = null;
  #sinceMs = 0;

  /** `what`: that which does not work, e.g. `the feed of the mesh`. */
  constructor(clock: Clock, log: Log, what: string) {
    this.#clock = clock;
    this.#log = log;
    this.#what = what;
  }

  failed(problem: string): void {
    if (this.#problem === null) {
      this.#sinceMs = this.#clock.now();
      this.#log.warn(`${this.#what} fails: what is known holds, and it is tried again`, { problem });
    }
    this.#problem = problem;
  }

  worked(): void {
    if (this.#problem === null) return;
    this.#problem = null;
    const forMs = Math.round(this.#clock.now() - this.#sinceMs);
    this.#log.info(`${this.#what} works again`, { forMs });
  }

  /** Null while all is well. */
  warning(): string | null {
    if (this.#problem === null) return null;
    const forSeconds = Math.round((this.#clock.now() - this.#sinceMs) / 1000);
    return `${this.#what} fails for ${forSeconds} s: ${this.#problem}`;
  }
}
