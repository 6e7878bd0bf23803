import type { Clock } from "../../machine.ts";
import type { Log } from "../../types.ts";
import { Refusal } from "../refusal.ts";

/** Clocks are corrected by a little all the time. */
const toleranceMs = 600_000;
/**
 * A machine that starts with a wrong clock is corrected within minutes. After this long the clock is right, and it was
 * wrong before.
 */
const patienceMs = 3_600_000;

/**
 * A coordinator that starts again with an older clock would issue certificates that have ended where the others are. It
 * knows better: it has issued later ones.
 */
export class ClockGuard {
  readonly #clock: Clock;
  readonly #log: Log;
  #latestEpochMs: number;
  #noticedAtMs: number | null = null;

  /** `latestEpochMs`: a moment that has been, by the clock of then. */
  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }, latestEpochMs: number) {
    this.#clock = clock;
    this.#log = log;
    this.#latestEpochMs = latestEpochMs;
  }

  /** Null while the clock is not to be believed. */
  believed(): number | null {
    const now = this.#clock.epochMs();
    if (now >= this.#latestEpochMs - toleranceMs) {
      this.#latestEpochMs = Math.max(this.#latestEpochMs, now);
      this.#noticedAtMs = null;
      return now;
    }
    if (this.#noticedAtMs === null) {
      this.#noticedAtMs = this.#clock.now();
      this.#log.error(
        "the clock of this machine is behind: no certificates until it is set",
        this.#times(now),
      );
    }
    if (this.#clock.now() - this.#noticedAtMs < patienceMs) return null;
    this.#log.warn("the clock of this machine stayed behind: it is believed now", this.#times(now));
    this.#latestEpochMs = now;
    this.#noticedAtMs = null;
    return now;
  }

  /** Throws a Refusal while the clock is not to be believed. */
  demand(): number {
    const now = this.believed();
    if (now !== null) return now;
    const { clock, latest } = this.#times(this.#clock.epochMs());
    const wanted = "set it; one that stays is believed after an hour";
    throw new Refusal(
      "clock-behind",
      `the coordinator's clock says ${clock}, but it has issued a certificate at ${latest}: ${wanted}`,
    );
  }

  /** What the time is, between these two. */
  span(): { readonly earliestEpochMs: number; readonly latestEpochMs: number } {
    const now = this.believed() ?? this.#clock.epochMs();
    return { earliestEpochMs: now, latestEpochMs: Math.max(now, this.#latestEpochMs) };
  }

  #times(nowEpochMs: number) {
    const [clock, latest] = [nowEpochMs, this.#latestEpochMs].map((at) => new Date(at).toISOString());
    return { clock: clock!, latest: latest! };
  }
}
