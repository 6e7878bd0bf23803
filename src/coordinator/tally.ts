/** How many there are of each name; a name of which there is none takes no room. */
export class Tally {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, count = 1): void {
    this.#set(name, this.of(name) + count);
  }

  /** So many that were added. */
  remove(name: string, count = 1): void {
    this.#set(name, this.of(name) - count);
  }

  #set(name: string, count: number): void {
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
  }
}
