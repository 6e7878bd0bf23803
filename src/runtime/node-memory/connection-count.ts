/**
 * Open connections, exact over the processes of a node: each counts in a cell of its own, and the sum is what is open.
 * What a killed process had open goes with its cell.
 */
export class ConnectionCount {
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #used: Int32Array;

  /** One cell for each process; `own` is that of this one. `used`: how many of them any process ever had. */
  constructor(cells: Int32Array, own: number, used: Int32Array) {
    this.#cells = cells;
    this.#own = own;
    this.#used = used;
  }

  /**
   * Counts one more, unless that makes more than `max`. Two processes that ask for the last one at the same moment may
   * both be refused, never both be let in.
   */
  enter(max: number): boolean {
    Atomics.add(this.#cells, this.#own, 1);
    if (this.open <= max) return true;
    this.leave();
    return false;
  }

  leave(): void {
    Atomics.sub(this.#cells, this.#own, 1);
  }

  get open(): number {
    const cells = this.#cells;
    const used = Atomics.load(this.#used, 0);
    let sum = 0;
    for (let process = 0; process < used; process++) sum += Atomics.load(cells, process);
    return sum;
  }
}
