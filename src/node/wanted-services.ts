/**
 * Services that callers ask for and the node's snapshot has not: whoever knows the mesh is asked for them, for one worker
 * as for all, one question at a time. What comes meanwhile is in the next one.
 */
import type { Clock } from "../machine.ts";
import type { Log } from "../types.ts";
import { errorText } from "./log.ts";

/**
 * Given names of services, in lower case; resolves with those that the mesh has not. For the others a snapshot with their
 * routes follows, or came before.
 */
export type FindServices = (services: readonly string[]) => Promise<readonly string[]>;

/** Of one question; further names are asked for when somebody wants them again. */
export const WANTED_MAX = 256;
/** As long as requests wait. */
const answerMs = 2_000;

export interface WantedParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly find: FindServices;
  /** For all workers. */
  missing(services: readonly string[]): void;
}

export class WantedNames {
  readonly #parts: WantedParts;
  readonly #next = new Set<string>();
  #asking = false;

  constructor(parts: WantedParts) {
    this.#parts = parts;
  }

  want(service: string): void {
    if (this.#next.size >= WANTED_MAX) return;
    this.#next.add(service);
    if (!this.#asking) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    // What other workers say in the same turn goes with it.
    await Promise.resolve();
    while (this.#next.size > 0) {
      const services = [...this.#next];
      this.#next.clear();
      await this.#askFor(services);
    }
    this.#asking = false;
  }

  async #askFor(services: readonly string[]): Promise<void> {
    const { clock, log, find, missing } = this.#parts;
    const late = Promise.withResolvers<null>();
    const cancel = clock.after(answerMs, () => late.resolve(null));
    try {
      const unknown = await Promise.race([find(services), late.promise]);
      if (unknown !== null && unknown.length > 0) missing(unknown);
    } catch (error) {
      log.warn("services that callers want cannot be asked for", {
        services: services.join(", "),
        problem: errorText(error),
      });
    } finally {
      cancel();
    }
  }
}
