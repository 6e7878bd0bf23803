/** Work of which only so much runs at once; the rest waits in line. */
export class Lanes {
  readonly #countMax: number;
  /** No longer than what its callers want at a time: each endpoint has one check, each service one lookup. */
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#countMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      // Whoever waits longest takes over this lane.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
