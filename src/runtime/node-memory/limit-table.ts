/**
 * Keyed limits in shared memory. A limit is a theoretical arrival time (GCRA, ITU-T I.371): the moment up to which what
 * a key may is spent. Each request moves it on by one interval; from now to it is the key's debt.
 *
 * The table is made of sets of eight slots. The hash of a key names the set, and stands in a slot of it; the time stands
 * beside it, a double as 64 bits, moved by compare-and-swap. Nobody waits for anybody, and a process that is killed has
 * at most taken once without telling. A set that is full gives up the slot with the oldest time: where that is over,
 * nothing is lost, because a key that owes nothing is as one that was never seen.
 */
import { type TextHash, wordOf } from "./text-hash.ts";

export const slotBytes = 16;
const slotsOfSet = 8;
/** Words of 64 bits in a set: eight hashes in one cache line, eight times in the next. */
const wordsOfSet = 2 * slotsOfSet;
/** Swaps in a row that other processes were faster at. */
const attemptsMax = 10_000;
/** Further in the future than workers that read the clock in another order can make it: the clock was set back. */
const clockSlackMs = 1_000;
/** Of an interval: what additions of doubles may be wrong by. */
const rounding = 1e-6;

/** How many may pass: a bucket of `capacityMs / intervalMs`, of which one comes back in each interval. */
export interface Bucket {
  readonly intervalMs: number;
  readonly capacityMs: number;
}

export class LimitTable {
  readonly #hashes: Int32Array;
  readonly #words: BigInt64Array;
  readonly #times: Float64Array;
  readonly #setMask: number;
  /** For the bits of doubles. */
  readonly #doubles = new Float64Array(2);
  readonly #bits = new BigInt64Array(this.#doubles.buffer);
  #dropped = 0;

  /** The number of slots, of `slotBytes` each, is a power of two, eight at least. */
  constructor({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>) {
    const slots = byteLength / slotBytes;
    this.#hashes = new Int32Array(buffer, byteOffset, slots * 4);
    this.#words = new BigInt64Array(buffer, byteOffset, slots * 2);
    this.#times = new Float64Array(buffer, byteOffset, slots * 2);
    this.#setMask = slots / slotsOfSet - 1;
  }

  /** Keys with a debt that this process gave up for others. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * The debt in milliseconds with one more; that is within the capacity if one more may pass, and only then it is
   * owed. Infinite when other processes were faster all the time.
   */
  take(key: TextHash, bucket: Bucket, nowMs: number): number {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const set = key.low & this.#setMask;
      const known = this.#find(set, key);
      const slot = known === -1 ? this.#claim(set, key, nowMs) : known;
      if (slot === -1) continue;
      const debt = this.#move(slot, bucket, nowMs);
      if (debt !== -1) return debt;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The place of a key's hash, counted in words; -1 when the set does not have it. */
  #find(set: number, { high, low }: TextHash): number {
    const first = set * wordsOfSet;
    for (let word = first; word < first + slotsOfSet; word++) {
      // The halves of a word are in the order of x86-64 and ARM64.
      if (this.#hashes[2 * word] === low && this.#hashes[2 * word + 1] === high) return word;
    }
    return -1;
  }

  /** -1 when another process took the slot first. */
  #claim(set: number, key: TextHash, nowMs: number): number {
    const slot = this.#oldest(set);
    const hash = wordOf(key);
    const before = Atomics.load(this.#words, slot);
    if (before === hash) return slot;
    const untilMs = this.#times[slot + slotsOfSet]!;
    if (Atomics.compareExchange(this.#words, slot, before, hash) !== before) return -1;
    if (untilMs > nowMs) {
      // The debt was another key's. If it changes at this moment, that key's last request is this one's first.
      this.#swap(slot + slotsOfSet, untilMs, 0);
      if (before !== 0n) this.#dropped += 1;
    }
    // Of two slots that two processes claimed for a key at the same moment, the first is found from now on.
    const first = this.#find(set, key);
    if (first === slot || first === -1) return first;
    Atomics.compareExchange(this.#words, slot, hash, 0n);
    return first;
  }

  /** A free slot, or the one whose time is the oldest. */
  #oldest(set: number): number {
    const first = set * wordsOfSet;
    let oldest = first;
    for (let word = first; word < first + slotsOfSet; word++) {
      if (this.#hashes[2 * word] === 0 && this.#hashes[2 * word + 1] === 0) return word;
      if (this.#times[word + slotsOfSet]! < this.#times[oldest + slotsOfSet]!) oldest = word;
    }
    return oldest;
  }

  /** -1 when another process was faster: the slot may be another key's by now. */
  #move(slot: number, { intervalMs, capacityMs }: Bucket, nowMs: number): number {
    const untilMs = this.#times[slot + slotsOfSet]!;
    const owedMs = untilMs - nowMs;
    const debtMs = (owedMs > 0 && owedMs <= capacityMs + clockSlackMs ? owedMs : 0) + intervalMs;
    if (debtMs > capacityMs + intervalMs * rounding) return debtMs;
    return this.#swap(slot + slotsOfSet, untilMs, nowMs + debtMs) ? debtMs : -1;
  }

  #swap(word: number, expected: number, value: number): boolean {
    this.#doubles[0] = expected;
    this.#doubles[1] = value;
    const bits = this.#bits[0]!;
    return Atomics.compareExchange(this.#words, word, bits, this.#bits[1]!) === bits;
  }
}
