/** Counts of requests and how long they took, in a bounded space however long the demo runs. */

/** One slot is a tenth of a millisecond; what takes longer than the last slot counts there. */
const slotMs = 0.1;
const slotsMax = 50_000;

export class Tally {
  sent = 0;
  failed = 0;
  readonly #slots = new Uint32Array(slotsMax);

  record(durationMs: number, outcome: "right" | "wrong"): void {
    this.sent += 1;
    if (outcome === "wrong") this.failed += 1;
    const slot = Math.min(slotsMax - 1, Math.max(0, Math.floor(durationMs / slotMs)));
    this.#slots[slot] = this.#slots[slot]! + 1;
  }

  /** Milliseconds within which the share of requests was answered; 0 when there was none. */
  quantileMs(share: number): number {
    let left = Math.ceil(this.sent * share);
    if (left === 0) return 0;
    for (let slot = 0; slot < slotsMax; slot += 1) {
      left -= this.#slots[slot]!;
      if (left <= 0) return (slot + 1) * slotMs;
    }
    return slotsMax * slotMs;
  }

  add(other: Tally): void {
    this.sent += other.sent;
    this.failed += other.failed;
    for (let slot = 0; slot < slotsMax; slot += 1)
      this.#slots[slot] = this.#slots[slot]! + other.#slots[slot]!;
  }

  clear(): void {
    this.sent = 0;
    this.failed = 0;
    this.#slots.fill(0);
  }
}
