/** How an endpoint is doing: what active checks say, what its answers said, and since when it is there. */
import type { OutlierDetectionConfig } from "../../snapshot.ts";

/** The part of its weight that a new endpoint begins with. */
const warmthMin = 0.1;

export class Standing {
  /** The verdict of active checks. */
  health: "healthy" | "unhealthy" = "healthy";
  /** When it came, or comes back from an ejection: from then on it gets more and more. */
  startedAtMs = -Infinity;
  /** When a request was last answered with a status below 500. */
  answeredAtMs = -Infinity;
  #ejectedUntilMs = -Infinity;
  /** Requests that failed since the last one that did not. */
  #errors = 0;
  /** Ejections in a row, the last one included. */
  #ejections = 0;
  #isFailing = false;

  /** In the past when it is not ejected. */
  get ejectedUntilMs(): number {
    return this.#ejectedUntilMs;
  }

  /** It fails like one that is ejected, and stays in because enough are out. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  isWell(nowMs: number): boolean {
    return this.health === "healthy" && this.#ejectedUntilMs <= nowMs;
  }

  /** The part of its weight that is in effect: it grows evenly over `slowStartMs`. */
  warmth(nowMs: number, slowStartMs: number): number {
    const age = nowMs - this.startedAtMs;
    return age >= slowStartMs ? 1 : Math.max(warmthMin, age / slowStartMs);
  }

  /** A request was answered. "recovered" when it was failing until now. */
  succeeded(nowMs: number): "recovered" | "fine" {
    this.answeredAtMs = nowMs;
    this.#errors = 0;
    if (!this.#isFailing) return "fine";
    this.#isFailing = false;
    return "recovered";
  }

  /** A request failed. "outlier" when so many did one after the other that it should be ejected; then they count anew. */
  failed(nowMs: number, { consecutiveErrors }: OutlierDetectionConfig): "outlier" | "fine" {
    if (this.#ejectedUntilMs > nowMs) return "fine";
    this.#errors += 1;
    if (this.#errors < consecutiveErrors) return "fine";
    this.#errors = 0;
    return "outlier";
  }

  /** An outlier that is not ejected, as enough are out. It fails until it answers a request, or is ejected. */
  keep(): void {
    this.#isFailing = true;
  }

  /** Takes it out: each time longer, and for each ejection time that it then did well, one step shorter again. */
  eject(nowMs: number, config: OutlierDetectionConfig): void {
    this.#count(nowMs, config);
    this.#leave(nowMs + Math.min(config.ejectionMs * this.#ejections, config.ejectionMaxMs));
  }

  /** Another worker ejected it. That counts like an own ejection; told again, or seen by both at once, it counts once. */
  ejectedElsewhere(nowMs: number, untilMs: number, config: OutlierDetectionConfig): void {
    if (untilMs <= nowMs || untilMs < this.#ejectedUntilMs + config.ejectionMs / 2) return;
    if (this.#ejectedUntilMs <= nowMs) this.#count(nowMs, config);
    this.#leave(untilMs);
  }

  #count(nowMs: number, { ejectionMs }: OutlierDetectionConfig): void {
    const forgotten = Math.floor((nowMs - this.#ejectedUntilMs) / ejectionMs);
    this.#ejections = Math.max(0, this.#ejections - forgotten) + 1;
  }

  #leave(untilMs: number): void {
    this.#ejectedUntilMs = untilMs;
    this.startedAtMs = untilMs;
    this.#errors = 0;
    this.#isFailing = false;
  }
}
