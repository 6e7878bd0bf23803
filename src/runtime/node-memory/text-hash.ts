/** 64 bits that stand for a text, as two halves of 32: what is done for each request does without a bigint. */

export interface TextHash {
  readonly high: number;
  readonly low: number;
}

/**
 * Never both halves 0. Two lanes that multiply each code unit in (the finish is that of MurmurHash3). With a seed that
 * nobody outside knows, nobody can choose texts that fall together.
 */
export function textHash(text: string, seed: TextHash): TextHash {
  let high = seed.high ^ 0xdeadbeef;
  let low = seed.low ^ 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
    high ^= high >>> 15;
    low ^= low >>> 13;
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  return high === 0 && low === 0 ? { high, low: 1 } : { high, low };
}

/** As the words of shared memory hold it. */
export function wordOf({ high, low }: TextHash): bigint {
  return BigInt.asIntN(64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
}

export function hashOf(word: bigint): TextHash {
  return { high: Number(BigInt.asIntN(32, word >> 32n)), low: Number(BigInt.asIntN(32, word)) };
}
