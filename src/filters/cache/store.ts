/**
 * The answers that a worker keeps, by address. What is kept, what is on its way in, and what callers are still being
 * given after it was thrown out, is never more than `bytesMax` together: answers that were not asked for longest make
 * room, and where they cannot, nothing new is kept.
 */
import type { StoredAnswer } from "./stored.ts";

/** Answers to one address that differ by `Vary`, route or service; of more, the oldest goes. */
const VARIANTS_MAX = 32;
/** Of all memory, for answers that are not whole yet: what is kept is not thrown out for what may never be. */
const FILLING_SHARE = 0.5;

/** An answer on its way in. */
export interface Filling {
  /** Whether it may still be kept: not when the address was changed meanwhile. */
  readonly spoiled: boolean;
  /** Takes room; false when there is none. */
  reserve(bytes: number): boolean;
  /** Gives all room back. */
  end(): void;
}

export interface StoreEvents {
  readonly bytesMax: number;
  /** One was thrown out to make room. */
  evicted(): void;
}

export class Store {
  readonly #bytesMax: number;
  readonly #evicted: () => void;
  readonly #byUrl = new Map<string, StoredAnswer[]>();
  /** In the order in which they were used. */
  readonly #used = new Set<StoredAnswer>();
  readonly #fillings = new Map<string, Set<LiveFilling>>();
  #keptBytes = 0;
  #fillingBytes = 0;
  /** Of answers that are not kept any more and still being given to somebody. */
  #heldBytes = 0;

  constructor({ bytesMax, evicted }: StoreEvents) {
    this.#bytesMax = bytesMax;
    this.#evicted = evicted;
  }

  /** All that counts. */
  get bytes(): number {
    return this.#keptBytes + this.#fillingBytes + this.#heldBytes;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  get size(): number {
    return this.#used.size;
  }

  /** The newest first. */
  at(url: string): readonly StoredAnswer[] {
    return this.#byUrl.get(url) ?? NONE;
  }

  /** It was given to somebody. */
  touch(answer: StoredAnswer): void {
    if (this.#used.delete(answer)) this.#used.add(answer);
  }

  /** Keeps it, in place of the one that the same requests got. False when there is no room. */
  add(answer: StoredAnswer): boolean {
    const { url } = answer.askedFor;
    for (const other of this.at(url)) if (isSameKind(other, answer)) this.remove(other);
    if (!this.#makeRoom(answer.bytes)) return false;
    const variants = this.#byUrl.get(url) ?? [];
    if (variants.length >= VARIANTS_MAX) this.#evict(variants.at(-1)!);
    variants.unshift(answer);
    this.#byUrl.set(url, variants);
    this.#used.add(answer);
    this.#keptBytes += answer.bytes;
    return true;
  }

  remove(answer: StoredAnswer): void {
    if (!this.#used.delete(answer)) return;
    const { url } = answer.askedFor;
    const variants = this.#byUrl.get(url)!;
    variants.splice(variants.indexOf(answer), 1);
    if (variants.length === 0) this.#byUrl.delete(url);
    this.#keptBytes -= answer.bytes;
    if (answer.readers > 0) this.#heldBytes += answer.bytes;
  }

  /** Its head is about to change, and with it what it takes. */
  recount(answer: StoredAnswer, change: () => void): void {
    const before = answer.bytes;
    change();
    if (!this.#used.has(answer)) return;
    this.#keptBytes += answer.bytes - before;
    this.#makeRoom(0);
  }

  /** Somebody is being given its body, until the returned function is called. */
  give(answer: StoredAnswer): () => void {
    answer.readers++;
    return () => {
      answer.readers--;
      if (answer.readers === 0 && !this.#used.has(answer)) this.#heldBytes -= answer.bytes;
    };
  }

  /** What is kept of this address holds no more, nor does what is on its way. Returns how many were kept. */
  invalidate(url: string): number {
    const kept = [...this.at(url)];
    for (const answer of kept) this.remove(answer);
    for (const filling of this.#fillings.get(url) ?? []) filling.spoiled = true;
    return kept.length;
  }

  fill(url: string): Filling {
    const filling = new LiveFilling(
      (bytes) => this.#reserve(bytes),
      (bytes) => {
        this.#fillingBytes -= bytes;
        const others = this.#fillings.get(url);
        others?.delete(filling);
        if (others?.size === 0) this.#fillings.delete(url);
      },
    );
    const others = this.#fillings.get(url) ?? new Set();
    this.#fillings.set(url, others.add(filling));
    return filling;
  }

  #reserve(bytes: number): boolean {
    if (this.#fillingBytes + bytes > this.#bytesMax * FILLING_SHARE || !this.#makeRoom(bytes)) return false;
    this.#fillingBytes += bytes;
    return true;
  }

  /** Throws out what was used longest ago, but for what somebody is being given: that would free nothing. */
  #makeRoom(bytes: number): boolean {
    if (this.#fillingBytes + this.#heldBytes + bytes > this.#bytesMax) return false;
    for (let left = this.#used.size; this.bytes + bytes > this.#bytesMax; left--) {
      const oldest = this.#used.values().next().value;
      if (oldest === undefined || left === 0) return false;
      if (oldest.readers > 0) this.touch(oldest);
      else this.#evict(oldest);
    }
    return true;
  }

  #evict(answer: StoredAnswer): void {
    this.remove(answer);
    this.#evicted();
  }
}

const NONE: readonly StoredAnswer[] = [];

class LiveFilling implements Filling {
  spoiled = false;
  readonly #take: (bytes: number) => boolean;
  readonly #giveBack: (bytes: number) => void;
  #bytes = 0;
  #ended = false;

  constructor(take: (bytes: number) => boolean, giveBack: (bytes: number) => void) {
    this.#take = take;
    this.#giveBack = giveBack;
  }

  reserve(bytes: number): boolean {
    if (this.#ended || !this.#take(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#giveBack(this.#bytes);
  }
}

/** Whether both are for the same requests. */
function isSameKind({ askedFor: one }: StoredAnswer, { askedFor: other }: StoredAnswer): boolean {
  return (
    one.route === other.route &&
    one.service === other.service &&
    one.values === other.values &&
    one.varied.join() === other.varied.join()
  );
}
