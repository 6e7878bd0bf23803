/** What a worker's cache knows, over reloads too: the answers, who waits for one, and what need not be waited for. */
import type { Clock, Tools } from "../../plugin.ts";
import { BoundedMap } from "../who/bounded-map.ts";
import { Flights } from "./flights.ts";
import { Store } from "./store.ts";

/** Answers that are asked for anew in the background, at the same time. */
const REVALIDATIONS_MAX = 100;
/** How long nobody waits for an answer that turned out to be for one caller only. */
const UNSHARED_MS = 60_000;
const UNSHARED_BOUNDS = { entriesMax: 10_000, charactersMax: 1024 * 1024 };

export class CacheMemory {
  readonly store: Store;
  readonly flights = new Flights();
  readonly #unshared = new BoundedMap<number>(UNSHARED_BOUNDS);
  readonly #clock: Clock;
  #revalidations = 0;

  constructor(bytesMax: number, { clock, metrics }: Tools) {
    this.#clock = clock;
    this.store = new Store({ bytesMax, evicted: () => metrics.count("cache_evicted") });
  }

  /** Filters with the same id and as much memory share it. */
  static of(tools: Tools, bytesMax: number): CacheMemory {
    return tools.keep(`answers in ${bytesMax}`, () => new CacheMemory(bytesMax, tools));
  }

  isUnshared(key: string): boolean {
    const untilMs = this.#unshared.get(key);
    return untilMs !== undefined && this.#clock.now() < untilMs;
  }

  /** Waiting for it would have been for nothing. */
  noteUnshared(key: string): void {
    if (this.isUnshared(key)) return;
    this.#unshared.set(key, this.#clock.now() + UNSHARED_MS);
  }

  noteShared(key: string): void {
    this.#unshared.delete(key);
  }

  /** Runs it in the background; false when too much is under way. */
  inBackground(run: () => Promise<void>): boolean {
    if (this.#revalidations >= REVALIDATIONS_MAX) return false;
    this.#revalidations++;
    run().finally(() => {
      this.#revalidations--;
    });
    return true;
  }
}
