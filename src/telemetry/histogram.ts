/**
 * A log-linear histogram of milliseconds: each power of two is cut into 32 buckets, so that a value read back from
 * its bucket is at most 1.6 % off. Histograms add up bucket by bucket, which makes them mergeable over workers.
 * A bucket holds what is above its lower edge up to and including its upper one, as Prometheus's `le` does.
 */

const SPLIT_BITS = 5;
const SPLIT = 1 << SPLIT_BITS;
/** The lowest edge is 2^-13 ms (0.12 us), the highest 2^22 ms (70 minutes); what is outside has a bucket at each end. */
const LOWEST_EXPONENT = -13;
const HIGHEST_EXPONENT = 22;
const BUCKETS = (HIGHEST_EXPONENT - LOWEST_EXPONENT) * SPLIT + 2;
const LAST = BUCKETS - 1;

// The high word of a double is sign, 11 bits of exponent (offset 1023) and the first 20 bits of the mantissa: shifted
// by 15 it counts the buckets.
const HIGH_WORD_SHIFT = 20 - SPLIT_BITS;
const FIRST_KEY = (1023 + LOWEST_EXPONENT) * SPLIT;
const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

function bucketOf(milliseconds: number): number {
  double[0] = milliseconds;
  // An exact edge belongs to the bucket below it; one step of the high word is enough to get there.
  const high = words[0] === 0 ? words[1]! - 1 : words[1]!;
  const bucket = (high >>> HIGH_WORD_SHIFT) - FIRST_KEY + 1;
  return Math.max(0, Math.min(bucket, LAST));
}

/** The upper edge of a bucket in milliseconds. */
function upperEdge(bucket: number): number {
  if (bucket === LAST) return Number.POSITIVE_INFINITY;
  return 2 ** (LOWEST_EXPONENT + Math.floor(bucket / SPLIT)) * (1 + (bucket % SPLIT) / SPLIT);
}

/** The value that stands for all values of a bucket; for the one above the range, its lower edge. */
function middle(bucket: number): number {
  const lower = bucket === 0 ? 0 : upperEdge(bucket - 1);
  return bucket === LAST ? lower : (lower + upperEdge(bucket)) / 2;
}

/** Bounds in seconds and, for each, how many buckets lie under it: those whose middle it does not cut off. */
export interface Scale {
  readonly boundsSeconds: readonly number[];
  readonly ends: readonly number[];
}

export function scaleOf(boundsSeconds: readonly number[]): Scale {
  const ends = boundsSeconds.map((seconds) => {
    let bucket = 0;
    while (bucket < BUCKETS && middle(bucket) <= seconds * 1000) bucket++;
    return bucket;
  });
  return { boundsSeconds, ends };
}

export class Histogram {
  sumMs = 0;
  readonly #counts = new Float64Array(BUCKETS);
  // The lowest and the highest bucket in use, so that taking out of many idle histograms costs nothing.
  #lowest = BUCKETS;
  #highest = -1;

  /** What is not a positive number counts as 0. */
  record(milliseconds: number): void {
    const counted = milliseconds > 0;
    this.#put(counted ? bucketOf(milliseconds) : 0, 1);
    if (counted) this.sumMs += milliseconds;
  }

  /** Takes everything out: bucket, count, bucket, count … */
  drain(): { readonly sumMs: number; readonly buckets: readonly number[] } {
    const buckets: number[] = [];
    for (let bucket = this.#lowest; bucket <= this.#highest; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0) buckets.push(bucket, count);
    }
    const sumMs = this.sumMs;
    if (buckets.length > 0) this.#counts.fill(0, this.#lowest, this.#highest + 1);
    this.sumMs = 0;
    this.#lowest = BUCKETS;
    this.#highest = -1;
    return { sumMs, buckets };
  }

  /** Adds what `drain` took out of another. */
  add(drained: { readonly sumMs: number; readonly buckets: readonly number[] }): void {
    this.sumMs += drained.sumMs;
    for (let at = 0; at < drained.buckets.length; at += 2) {
      this.#put(drained.buckets[at]!, drained.buckets[at + 1]!);
    }
  }

  merge(other: Histogram): void {
    this.sumMs += other.sumMs;
    for (let bucket = other.#lowest; bucket <= other.#highest; bucket++)
      this.#put(bucket, other.#counts[bucket]!);
  }

  /** How many values lie under each bound of the scale, and at last how many there are. */
  cumulative(scale: Scale): number[] {
    const result: number[] = [];
    let total = 0;
    let bucket = 0;
    for (const end of [...scale.ends, BUCKETS]) {
      for (; bucket < end; bucket++) total += this.#counts[bucket]!;
      result.push(total);
    }
    return result;
  }

  get count(): number {
    let total = 0;
    for (let bucket = this.#lowest; bucket <= this.#highest; bucket++) total += this.#counts[bucket]!;
    return total;
  }

  /** In milliseconds, at most 1.6 % off; null without any value. `fraction` is 0.5 for the median. */
  quantile(fraction: number): number | null {
    const total = this.count;
    if (total === 0) return null;
    let rank = Math.max(1, Math.ceil(fraction * total));
    let bucket = this.#lowest;
    while (rank > this.#counts[bucket]!) rank -= this.#counts[bucket++]!;
    return middle(bucket);
  }

  #put(bucket: number, count: number): void {
    this.#counts[bucket]! += count;
    if (bucket < this.#lowest) this.#lowest = bucket;
    if (bucket > this.#highest) this.#highest = bucket;
  }
}
