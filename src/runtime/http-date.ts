/** The current time as HTTP writes it (RFC 9110 section 5.6.7), made anew once a second. */
import type { Clock } from "../machine.ts";

export class HttpDate {
  readonly #clock: Clock;
  #second = -1;
  #text = "";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  text(): string {
    const second = Math.floor(this.#clock.epochMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
