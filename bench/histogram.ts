/** Latencies in a fixed number of buckets, each 1 % wider than the one before it. */

const growth = Math.log(1.01);
/** From 1 us to beyond 100 s. */
const bucketsMax = 1900;

export class Histogram {
  readonly #buckets = new Float64Array(bucketsMax);
  #count = 0;
  #maxUs = 0;

  add(microseconds: number): void {
    const bucket = microseconds <= 1 ? 0 : Math.floor(Math.log(microseconds) / growth);
    const index = Math.min(bucket, bucketsMax - 1);
    this.#buckets[index] = this.#buckets[index]! + 1;
    this.#count++;
    if (microseconds > this.#maxUs) this.#maxUs = microseconds;
  }

  get count(): number {
    return this.#count;
  }

  get maxUs(): number {
    return this.#maxUs;
  }

  /** The latency that this share (0 to 1) of all stayed under, to 1 %; 0 when there are none. */
  percentileUs(share: number): number {
    let left = Math.max(1, Math.ceil(this.#count * share));
    if (this.#count === 0) return 0;
    for (let index = 0; index < bucketsMax; index++) {
      left -= this.#buckets[index]!;
      if (left <= 0) return Math.min(Math.exp((index + 1) * growth), this.#maxUs);
    }
    return this.#maxUs;
  }
}
