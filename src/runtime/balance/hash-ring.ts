/**
 * A ring of hashes (ketama): each endpoint has points on it, a key belongs to the endpoint of the next point. An endpoint
 * that comes takes keys only from others, one that goes gives only its own away, and of both about 1/n of all.
 *
 * Chosen over Maglev's table of 65,537 by measuring both (docs/balancing.md): with 1,000 endpoints the table moves seven
 * times as many keys as it must. Its look-up is faster and its shares are more even, both by little.
 */

/** Points of the heaviest endpoint: shares differ by about 1/sqrt(256) = 6 %. */
const pointsOfOneMax = 256;
/** Points of the whole ring, as far as each endpoint can have one; with more than 1,024 endpoints each has fewer. */
const pointsMax = 262_144;
/** The endpoint's number beside its point, so that one sort orders both: 32 + 14 bits are an exact number. */
const numberBits = 2 ** 14;

export interface RingMember {
  /** What its points are made of: the same in every worker and after every restart. */
  readonly name: string;
  readonly load: { readonly weight: number };
}

export class HashRing<E extends RingMember> {
  readonly #members: readonly E[];
  readonly #weights: readonly number[];
  /** In order, with the number of the member that each belongs to. */
  readonly #points: Uint32Array;
  readonly #owners: Uint16Array;
  /** By the first bits of a hash: the first point that is not before all of these hashes. */
  readonly #index: Uint32Array;
  readonly #shift: number;

  /** At most 16,384 members. */
  constructor(members: readonly E[]) {
    this.#members = members;
    this.#weights = members.map(({ load }) => load.weight);
    const sorted = sortedPoints(members);
    this.#points = new Uint32Array(sorted.length);
    this.#owners = new Uint16Array(sorted.length);
    for (let at = 0; at < sorted.length; at += 1) {
      const point = Math.floor(sorted[at]! / numberBits);
      this.#points[at] = point;
      this.#owners[at] = sorted[at]! - point * numberBits;
    }
    const bits = Math.max(1, Math.min(18, Math.ceil(Math.log2(sorted.length))));
    this.#shift = 32 - bits;
    this.#index = indexOf(this.#points, bits);
  }

  /** Whether it is the ring of exactly these, with the weights that they have now. */
  isOf(members: readonly E[]): boolean {
    if (members.length !== this.#members.length) return false;
    return members.every(
      (member, at) => member === this.#members[at] && member.load.weight === this.#weights[at],
    );
  }

  /** The member whose key this is, or the next one on the ring that `fits`; null when none does. */
  find(hash: number, fits: (member: E) => boolean): E | null {
    const members = this.#members;
    const points = this.#points;
    const owners = this.#owners;
    const count = points.length;
    let at = this.#index[hash >>> this.#shift]!;
    while (at < count && points[at]! < hash) at += 1;
    for (let step = 0; step < count; step += 1, at += 1) {
      if (at >= count) at -= count;
      const member = members[owners[at]!]!;
      if (fits(member)) return member;
    }
    return null;
  }
}

/** Weights count against the heaviest, so that another endpoint's coming or going moves nobody's points. */
function sortedPoints(members: readonly RingMember[]): Float64Array {
  const weightMax = members.reduce((most, { load }) => Math.max(most, load.weight), 0);
  const each = Math.min(pointsOfOneMax, 2 ** Math.floor(Math.log2(pointsMax / members.length)));
  const counts = members.map(({ load }) => Math.max(1, Math.round((each * load.weight) / weightMax)));
  const sorted = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let filled = 0;
  for (const [number, { name }] of members.entries()) {
    const first = hashText(name);
    // Two hashes of the name: members that share one have different points all the same.
    const step = hashText(`${name} `) | 1;
    for (let point = 0; point < counts[number]!; point += 1) {
      sorted[filled] = mix(first + Math.imul(point, step)) * numberBits + number;
      filled += 1;
    }
  }
  return sorted.sort();
}

function indexOf(points: Uint32Array, bits: number): Uint32Array {
  const index = new Uint32Array(2 ** bits);
  for (let slot = 0, at = 0; slot < index.length; slot += 1) {
    const start = slot * 2 ** (32 - bits);
    while (at < points.length && points[at]! < start) at += 1;
    index[slot] = at;
  }
  return index;
}

/** FNV-1a over the text's code units, mixed once more so that all bits depend on all: from 0 to 2^32 - 1. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

/** From 0 to 1, by other bits than those that choose a place on a ring. */
export function hashFraction(text: string): number {
  return mix(hashText(text)) / 2 ** 32;
}

/** The end of MurmurHash3. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
