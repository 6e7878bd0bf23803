/** How busy and how slow an endpoint is. */
import type { Clock } from "../../types.ts";

/** Time in which an old measurement loses all but 1/e of its say. */
const decayMs = 10_000;
/** What an endpoint is taken to need before it was measured: it is neither flooded nor starved. */
const unmeasuredMs = 30;
/** Bounds of the estimate: quotients stay finite, and one that failed for hours is tried again within two minutes. */
const estimateMsMin = 0.01;
const estimateMsMax = 600_000;

/**
 * How busy and how slow one endpoint is: the peak EWMA of the time to a response's head, as in Finagle's PeakEwma
 * (a slower answer counts at once, faster ones only little by little).
 *
 * A failure must not look like a fast answer, or an endpoint that fails fast gets all the traffic: it doubles the
 * estimate instead. Failures of requests that were already under way when the estimate was doubled do not double it
 * again, so one lost connection with a hundred requests on it is one failure.
 */
export class EndpointLoad {
  /** Requests given to it that have no head yet. */
  outstanding = 0;
  private estimateMs = unmeasuredMs;
  private measuredAtMs: number;
  private doubledAtMs = -Infinity;

  /** What `before` measured goes on to count. */
  constructor(
    public weight: number,
    private readonly clock: Clock,
    before: EndpointLoad | undefined = undefined,
  ) {
    this.measuredAtMs = before?.measuredAtMs ?? clock.now();
    if (before !== undefined) this.estimateMs = before.estimateMs;
  }

  /** A request was given to it. Returns the time, to be handed back to exactly one of the three below. */
  begin(): number {
    this.outstanding += 1;
    return this.clock.now();
  }

  /** The head of its answer came. */
  answered(startedAtMs: number): void {
    this.outstanding -= 1;
    const now = this.clock.now();
    const sampleMs = now - startedAtMs;
    if (sampleMs >= this.estimateMs) {
      this.estimateMs = Math.min(sampleMs, estimateMsMax);
    } else {
      const kept = Math.exp((this.measuredAtMs - now) / decayMs);
      this.estimateMs = this.estimateMs * kept + sampleMs * (1 - kept);
    }
    this.measuredAtMs = now;
  }

  /** It could not be reached, broke off before a head, was too late, or said that it cannot serve. */
  failed(startedAtMs: number): void {
    this.outstanding -= 1;
    const now = this.clock.now();
    if (startedAtMs < this.doubledAtMs) return;
    const estimateMs = Math.max(now - startedAtMs, 2 * this.latencyMs(now) + unmeasuredMs);
    this.estimateMs = Math.min(estimateMs, estimateMsMax);
    this.measuredAtMs = now;
    this.doubledAtMs = now;
  }

  /** The caller left before a head came: that it waited longer than the estimate is a measurement, else nothing is. */
  abandoned(startedAtMs: number): void {
    const waitedMs = this.clock.now() - startedAtMs;
    if (waitedMs >= this.estimateMs) this.answered(startedAtMs);
    else this.outstanding -= 1;
  }

  /** The estimate at a moment; without measurements it sinks, so that a slow endpoint is tried again. */
  latencyMs(nowMs: number): number {
    return Math.max(this.estimateMs * Math.exp((this.measuredAtMs - nowMs) / decayMs), estimateMsMin);
  }
}
