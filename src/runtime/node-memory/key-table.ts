/** Places in a table for texts: claimed by compare-and-swap, never given back, so no process ever waits for another. */

/** What a free place holds. */
const free = 0n;

export class KeyTable {
  readonly #keys: BigInt64Array;
  readonly #seed: bigint;

  /** Each place holds the hash of the text that claimed it. All processes must have the same seed. */
  constructor(keys: BigInt64Array, seed: bigint) {
    this.#keys = keys;
    this.#seed = seed;
  }

  /** The place of a text, the same in every process; null when the table is full. */
  claim(text: string): number | null {
    const keys = this.#keys;
    const hash = textHash(text, this.#seed);
    const first = Number(BigInt.asUintN(32, hash)) % keys.length;
    for (let step = 0; step < keys.length; step++) {
      const place = (first + step) % keys.length;
      const held = Atomics.compareExchange(keys, place, free, hash);
      if (held === free || held === hash) return place;
    }
    return null;
  }

  /** Every place that a text has claimed. */
  taken(): number[] {
    const keys = this.#keys;
    return Array.from(keys.keys()).filter((place) => Atomics.load(keys, place) !== free);
  }
}

/**
 * 64 bits, never 0, of a text: two lanes that multiply each code unit in (the finish is that of MurmurHash3). With a
 * seed that nobody outside knows, nobody can choose texts that fall together.
 */
export function textHash(text: string, seed: bigint): bigint {
  let high = Number(BigInt.asUintN(32, seed >> 32n)) ^ 0xdeadbeef;
  let low = Number(BigInt.asUintN(32, seed)) ^ 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
    high ^= high >>> 15;
    low ^= low >>> 13;
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  const hash = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return BigInt.asIntN(64, hash) || 1n;
}
