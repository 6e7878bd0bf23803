/**
 * Which user's filter a process runs, said in the node's memory: a process in an endless loop answers nothing, so whoever
 * ends it has to find out from outside. Exact from the filter's call until it returns or first waits; after that only the
 * one that ran last is known.
 */
import { type TextHash, textHash } from "./text-hash.ts";

export interface FilterMark {
  /** The filter's code runs from here on; returns what is to be given to `leave`. */
  enter(): number;
  /** It returned, or waits for something. */
  leave(before: number): void;
  /** It goes on after it had waited. */
  resumed(): void;
}

export class RunningFilter implements FilterMark {
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #filter: number;

  /** One cell for each process: 0, the number of the filter that runs, or minus the number of the one that did last. */
  constructor(cells: Int32Array, own: number, filter: number) {
    this.#cells = cells;
    this.#own = own;
    this.#filter = filter;
  }

  enter(): number {
    const before = this.#cells[this.#own]!;
    this.#cells[this.#own] = this.#filter;
    return before;
  }

  leave(before: number): void {
    // One that called `next()` runs on when the filters further inside have returned to it.
    this.#cells[this.#own] = before > 0 ? before : -this.#filter;
  }

  resumed(): void {
    this.#cells[this.#own] = -this.#filter;
  }
}

/** From 1 to 2^31 - 1: two filters have the same one by a chance of one in two billion. */
export function filterNumber(
  code: { readonly name: string; readonly version: string },
  seed: TextHash,
): number {
  return textHash(`${code.version} ${code.name}`, seed).low & 0x7fff_ffff || 1;
}
