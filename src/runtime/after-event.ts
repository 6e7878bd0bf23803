/**
 * What is to be done when the code of the current event has run: one promise for all of it, not one for each. A service's
 * socket gives the answers of many requests in one event.
 */
export class AfterEvent<Item> {
  readonly #done: (item: Item) => void;
  readonly #run = () => this.#all();
  #items: Item[] = [];

  constructor(done: (item: Item) => void) {
    this.#done = done;
  }

  add(item: Item): void {
    if (this.#items.length === 0) queueMicrotask(this.#run);
    this.#items.push(item);
  }

  #all(): void {
    const items = this.#items;
    this.#items = [];
    for (const item of items) {
      try {
        this.#done(item);
      } catch (error) {
        // As if each had a promise of its own: the others are done all the same.
        void Promise.reject(error);
      }
    }
  }
}
