/**
 * How many requests a service does well with, found out from how long it takes: the gradient of Netflix's
 * concurrency-limits (Gradient2), with the headroom of Envoy's adaptive concurrency.
 *
 * In each window the mean latency is compared with a mean over a long time. While it is not much longer, the limit grows
 * by the square root of itself; where a queue makes it longer, the limit shrinks by the ratio of the two, at most by
 * half. Both only by a part, so that one odd window does little. There is no phase in which nearly everything is
 * refused to measure the best latency, as Envoy has; so there is nothing to spread by jitter over nodes either.
 */

/** From one change of the limit to the next, and the answers that it takes. */
const windowMs = 250;
const samplesMin = 10;
/** Windows that the long mean goes back: ten minutes. The first few count alike. */
const longWindows = 2_400;
const firstWindows = 10;
/** Longer than the long mean by this factor is not yet a queue. */
const tolerance = 1.5;
/** What the limit takes over of each new value. */
const smoothing = 0.2;

export interface GradientBounds {
  readonly min: number;
  readonly max: number;
  readonly initial: number;
}

export class GradientLimit {
  readonly #bounds: GradientBounds;
  #limit: number;
  #longMs = 0;
  #windows = 0;
  #startMs: number | null = null;
  #samples = 0;
  #sumMs = 0;
  #openMax = 0;
  #open = 0;

  constructor(bounds: GradientBounds) {
    this.#bounds = bounds;
    this.#limit = Math.max(bounds.min, Math.min(bounds.max, bounds.initial));
  }

  get limit(): number {
    return Math.floor(this.#limit);
  }

  get open(): number {
    return this.#open;
  }

  /** Counts one more, unless that makes more than the limit. */
  enter(): boolean {
    if (this.#open >= this.limit) return false;
    this.#open += 1;
    this.#openMax = Math.max(this.#openMax, this.#open);
    return true;
  }

  leave(): void {
    this.#open -= 1;
  }

  /** An answer came after so long. */
  sample(latencyMs: number, nowMs: number): void {
    this.#startMs ??= nowMs;
    this.#samples += 1;
    this.#sumMs += latencyMs;
    if (nowMs - this.#startMs < windowMs || this.#samples < samplesMin) return;
    this.#update(this.#sumMs / this.#samples);
    this.#startMs = nowMs;
    this.#samples = 0;
    this.#sumMs = 0;
    this.#openMax = this.#open;
  }

  #update(shortMs: number): void {
    this.#windows += 1;
    const share = this.#windows <= firstWindows ? 1 / this.#windows : 2 / (longWindows + 1);
    this.#longMs += (shortMs - this.#longMs) * share;
    // After a long time of queues: what is normal again need not wait for the mean to forget.
    if (this.#longMs > 2 * shortMs) this.#longMs *= 0.9;
    // Of a limit that nobody comes near there is nothing to learn.
    if (this.#openMax < this.#limit / 2) return;
    const gradient = Math.max(0.5, Math.min(1, (tolerance * this.#longMs) / shortMs));
    const wanted = this.#limit * gradient + Math.sqrt(this.#limit);
    const next = this.#limit * (1 - smoothing) + wanted * smoothing;
    this.#limit = Math.max(this.#bounds.min, Math.min(this.#bounds.max, next));
  }
}
