/** Places in a table for texts: claimed by compare-and-swap, never given back, so no process ever waits for another. */
import { type TextHash, textHash, wordOf } from "./text-hash.ts";

/** What a free place holds. */
const free = 0n;

export class KeyTable {
  readonly #keys: BigInt64Array;
  readonly #seed: TextHash;

  /** Each place holds the hash of the text that claimed it. All processes must have the same seed. */
  constructor(keys: BigInt64Array, seed: TextHash) {
    this.#keys = keys;
    this.#seed = seed;
  }

  /** The place of a text, the same in every process; null when the table is full. */
  claim(text: string): number | null {
    const keys = this.#keys;
    const hash = textHash(text, this.#seed);
    const word = wordOf(hash);
    const first = (hash.low >>> 0) % keys.length;
    for (let step = 0; step < keys.length; step++) {
      const place = (first + step) % keys.length;
      const held = Atomics.compareExchange(keys, place, free, word);
      if (held === free || held === word) return place;
    }
    return null;
  }

  /** Every place that a text has claimed. */
  taken(): number[] {
    const keys = this.#keys;
    return Array.from(keys.keys()).filter((place) => Atomics.load(keys, place) !== free);
  }
}
