/**
 * A short name of a set of texts: the same texts in whatever order have the same tag, on every coordinator and after a
 * restart. Two 32-bit sums of hashes, so that a change costs what changed; no protection against somebody who looks for
 * two sets with one tag: instances come from nodes with certificates, and each only names its own.
 */
export class ContentTag {
  #low = 0;
  #high = 0;
  #count = 0;

  add(text: string): void {
    this.#low = (this.#low + textHash(text, LOW_SEED)) >>> 0;
    this.#high = (this.#high + textHash(text, HIGH_SEED)) >>> 0;
    this.#count += 1;
  }

  /** Of a text that was added before. */
  remove(text: string): void {
    this.#low = (this.#low - textHash(text, LOW_SEED)) >>> 0;
    this.#high = (this.#high - textHash(text, HIGH_SEED)) >>> 0;
    this.#count -= 1;
  }

  toString(): string {
    return `${this.#count}-${hexadecimal(this.#high)}${hexadecimal(this.#low)}`;
  }
}

export function textTag(text: string): string {
  return hexadecimal(textHash(text, HIGH_SEED)) + hexadecimal(textHash(text, LOW_SEED));
}

const LOW_SEED = 0x811c9dc5;
const HIGH_SEED = 0x9e3779b9;

/** FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) with the last mixing of murmur3, so that sums spread too. */
function textHash(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function hexadecimal(hash: number): string {
  return hash.toString(16).padStart(8, "0");
}
