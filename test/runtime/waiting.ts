/** Waiting for what sockets do, with an end: a test that waits in vain says for what. */
import { setTimeout as sleep } from "node:timers/promises";

const limitMsDefault = 60_000;

/** Callbacks of whoever waits for a change. */
export class Changes {
  readonly #listeners = new Set<() => void>();

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves with the first value of `read` that is not null; rejects after `limitMs`. */
  until<T>(what: string, read: () => T | null, limitMs = limitMsDefault): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#listeners.delete(look);
      };
      const look = () => {
        try {
          const value = read();
          if (value === null) return;
          done();
          resolve(value);
        } catch (error) {
          done();
          reject(error);
        }
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`waited ${limitMs} ms in vain for ${what}`));
      }, limitMs);
      this.#listeners.add(look);
      look();
    });
  }
}

/** For what nobody announces: looks every few milliseconds. */
export async function eventually<T>(
  what: string,
  read: () => T | null | false,
  limitMs = limitMsDefault,
): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const value = read();
    if (value !== null && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(2);
  }
}

/** For what takes as long as the machine needs: fails when it stands still before there is enough. */
export async function enough(what: string, count: () => number, wanted: number): Promise<void> {
  let before = -1;
  while (before < wanted) {
    before = await eventually(`more ${what} than ${before} of ${wanted}`, () => {
      const now = count();
      return now > before || now >= wanted ? now : null;
    });
  }
}
