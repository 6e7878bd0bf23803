/**
 * How a node goes away that others of its mesh call. It has the mesh tell them, serves on until nobody comes, and only then
 * refuses: whoever comes before may not have heard, and need not have anybody else to go to.
 */
import type { Clock } from "../machine.ts";
import type { Callers, LeavingStage } from "../runtime/leaving.ts";
import type { Membership } from "./membership.ts";

export interface DepartureParts {
  readonly clock: Clock;
  readonly membership: Pick<Membership, "inboundListener" | "leave">;
  /** In all workers; see Runtime.leave. */
  leave(listener: string, stage: LeavingStage): Promise<Callers>;
}

/** A caller that was told sends nothing more after this: its node gathers what changed for 50 ms, then tells its workers. */
export const quietMs = 200;
/** Whoever still comes so long after all were told, or could not be, will not hear of it in time. */
export const quietMsMax = 2_000;
const pollMs = 25;

export class Departure {
  readonly #parts: DepartureParts;
  #stage: LeavingStage = "keep";

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /** Resolves when no caller comes any more, or `timeoutMs` later. */
  async begin(timeoutMs: number): Promise<void> {
    const { clock, membership } = this.#parts;
    const endsAtMs = clock.now() + timeoutMs;
    const callers = await membership.leave(timeoutMs);
    if (membership.inboundListener === null) return;
    if (callers === "not told") this.#close();
    await this.#quiet(Math.min(endsAtMs, clock.now() + quietMsMax));
  }

  /** Refuses whoever comes now. Resolves when those who are here have their answers, or `timeoutMs` later. */
  async finish(timeoutMs: number): Promise<void> {
    const { clock } = this.#parts;
    const endsAtMs = clock.now() + timeoutMs;
    this.#stage = "refuse";
    while ((await this.#callers()).connections > 0 && clock.now() < endsAtMs) await this.#pause();
  }

  /** At once: there is nobody who could answer. */
  refuse(): void {
    this.#stage = "refuse";
    void this.#callers();
  }

  async #quiet(endsAtMs: number): Promise<void> {
    const { clock } = this.#parts;
    let { requests } = await this.#callers();
    let lastMs = clock.now();
    const unheardAtMs = lastMs + quietMs;
    while (clock.now() < endsAtMs) {
      await this.#pause();
      const before = requests;
      ({ requests } = await this.#callers());
      if (requests === before) {
        if (clock.now() - lastMs >= quietMs) return;
        continue;
      }
      lastMs = clock.now();
      if (lastMs >= unheardAtMs) this.#close();
    }
  }

  /**
   * Those who come do not know. They come again by a new connection, which costs a handshake each time; but no kept one is
   * left that would be closed in the moment in which a request is written to it.
   */
  #close(): void {
    if (this.#stage === "keep") this.#stage = "close";
  }

  async #callers(): Promise<Callers> {
    const { membership, leave } = this.#parts;
    const { inboundListener } = membership;
    return inboundListener === null ? { requests: 0, connections: 0 } : leave(inboundListener, this.#stage);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(pollMs, resolve));
  }
}
