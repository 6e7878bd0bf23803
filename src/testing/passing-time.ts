/** Virtual time that passes by itself while somebody waits, and nothing else goes on. */
import type { VirtualClock } from "./virtual-clock.ts";

/** Turns of the event loop without an event, after which nothing but time can go on. */
const QUIET_TURNS = 8;
/** In one of them other threads may still be at work (cryptography, compression), so time takes small steps. */
const STEP_MS = 1;

export interface PassingParts {
  readonly clock: VirtualClock;
  /** One turn of the event loop. */
  turn(): Promise<void>;
  /** Grows with whatever happens. */
  events(): number;
  readonly time: "passes" | "stands";
}

export class PassingTime {
  readonly #parts: PassingParts;
  #waiting = 0;
  #running = false;

  constructor(parts: PassingParts) {
    this.#parts = parts;
  }

  /** Somebody waits from now on, until the returned function is called. */
  begin(): () => void {
    let waits = true;
    this.#waiting += 1;
    if (this.#parts.time === "passes" && !this.#running) void this.#run();
    return () => {
      if (waits) this.#waiting -= 1;
      waits = false;
    };
  }

  async whileWaiting<Result>(work: Promise<Result>): Promise<Result> {
    const end = this.begin();
    try {
      return await work;
    } finally {
      end();
    }
  }

  /** Until nothing goes on any more without time. */
  async settled(): Promise<void> {
    const { events, turn } = this.#parts;
    for (let quiet = 0, seen = events(); quiet < QUIET_TURNS; quiet++) {
      await turn();
      if (events() === seen) continue;
      seen = events();
      quiet = -1;
    }
  }

  /** From one timer to the next. */
  async advance(durationMs: number): Promise<void> {
    const { clock } = this.#parts;
    const endMs = clock.now() + durationMs;
    await this.settled();
    while (clock.now() < endMs) {
      clock.advance(Math.max(0, Math.min(clock.nextMs ?? endMs, endMs) - clock.now()));
      await this.settled();
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    this.#running = true;
    while (this.#waiting > 0) {
      await this.settled();
      if (this.#waiting > 0) clock.advance(STEP_MS);
    }
    this.#running = false;
  }
}
