/** How long the last answers took, and so which time only few of them take. */

/** Answers that are looked at. */
const lookedAt = 200;
/** Fewer say nothing. */
const answersMin = 20;
/** Answers between two looks: sorting costs more than a request. */
const lookEvery = 20;

export class RecentDelays {
  readonly #share: number;
  readonly #delaysMs: number[] = [];
  #count = 0;
  #atShareMs: number | null = null;

  /** `share`: 0.95 for the time that a twentieth of the answers takes longer than. */
  constructor(share: number) {
    this.#share = share;
  }

  add(delayMs: number): void {
    this.#delaysMs[this.#count % lookedAt] = delayMs;
    this.#count++;
    if (this.#count >= answersMin && this.#count % lookEvery === 0) this.#look();
  }

  /** Null while nothing is known. */
  get atShareMs(): number | null {
    return this.#atShareMs;
  }

  #look(): void {
    const sorted = this.#delaysMs.toSorted((one, other) => one - other);
    this.#atShareMs = sorted[Math.ceil(sorted.length * this.#share) - 1]!;
  }
}
