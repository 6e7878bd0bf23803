/**
 * Rooms of one size in shared memory, taken by name and given back: the processes that use a name find the same room,
 * and one that nobody uses any more is for the next name. What was left in a room stays there.
 *
 * Which name a room has and how many processes use it is one word, changed by compare-and-swap. Each process notes
 * beside it what it uses, so that what a killed one used can be given back for it. Between the two steps a kill leaves
 * a room used by nobody, for good; never one that is taken from under its users.
 */
import { type TextHash, wordOf } from "./text-hash.ts";

/** Tries to take a room while other processes take and give back rooms at the same moment. */
const attemptsMax = 16;
/** The low bits of a word count the processes that use the room. */
const usersMask = 0xffffn;
const oneUser = 1n;

export class Rooms {
  /** One for each room: the name's hash without its low bits, and the count of its users. */
  readonly #words: BigInt64Array;
  /** A row for each process: 1 for each room that it uses. */
  readonly #notes: Int32Array;

  constructor(words: BigInt64Array, notes: Int32Array) {
    this.#words = words;
    this.#notes = notes;
  }

  /** The number of the room; null when all are used. A process takes a name once, and gives it back once. */
  take(hash: TextHash, process: number): number | null {
    const name = nameOf(hash);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const known = this.#find(name, -1);
      if (known !== -1) {
        if (this.#join(known, name)) return this.#noted(known, process);
        continue;
      }
      const room = this.#claim(name);
      if (room === "full") return null;
      if (room === "lost") continue;
      // Another process may have claimed another room for the name at the same moment: then one of them goes there.
      if (this.#find(name, room) === -1) return this.#noted(room, process);
      this.#leave(room);
    }
    return null;
  }

  giveBack(room: number, process: number): void {
    const note = process * this.#words.length + room;
    if (Atomics.exchange(this.#notes, note, 0) === 1) this.#leave(room);
  }

  /** Gives back what a process used that is gone; calls back with each of these rooms. */
  forget(process: number, left: (room: number) => void = () => {}): void {
    for (let room = 0; room < this.#words.length; room++) {
      if (Atomics.load(this.#notes, process * this.#words.length + room) === 0) continue;
      left(room);
      this.giveBack(room, process);
    }
  }

  /** A room of this name, one that is used before one that nobody uses; -1 when there is none. */
  #find(name: bigint, except: number): number {
    let found = -1;
    for (let room = 0; room < this.#words.length; room++) {
      const word = Atomics.load(this.#words, room);
      if (room === except || (word & ~usersMask) !== name) continue;
      if ((word & usersMask) !== 0n) return room;
      if (except === -1 && found === -1) found = room;
    }
    return found;
  }

  #join(room: number, name: bigint): boolean {
    for (;;) {
      const word = Atomics.load(this.#words, room);
      if ((word & ~usersMask) !== name) return false;
      if (this.#swap(room, word, word + oneUser)) return true;
    }
  }

  /** The lowest room that nobody uses: what was used once is used again before memory that nobody touched. */
  #claim(name: bigint): number | "full" | "lost" {
    for (let room = 0; room < this.#words.length; room++) {
      const word = Atomics.load(this.#words, room);
      if ((word & usersMask) !== 0n) continue;
      return this.#swap(room, word, name | oneUser) ? room : "lost";
    }
    return "full";
  }

  #noted(room: number, process: number): number {
    Atomics.store(this.#notes, process * this.#words.length + room, 1);
    return room;
  }

  #leave(room: number): void {
    for (;;) {
      const word = Atomics.load(this.#words, room);
      if (this.#swap(room, word, word - oneUser)) return;
    }
  }

  #swap(room: number, expected: bigint, value: bigint): boolean {
    return Atomics.compareExchange(this.#words, room, expected, value) === expected;
  }
}

function nameOf(hash: TextHash): bigint {
  return wordOf(hash) & ~usersMask || usersMask + 1n;
}
