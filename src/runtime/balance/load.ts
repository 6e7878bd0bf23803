/** How busy and how slow an endpoint is. */
import type { Clock } from "../../machine.ts";

/** Time, or answers, after which an old measurement has lost all but 1/e of its say. */
const decayMs = 10_000;
const decayAnswers = 32;
/** What an endpoint is taken to need before it was measured: it is neither flooded nor starved. */
const unmeasuredMs = 30;
/** Bounds of the estimate: quotients stay finite, and one that failed for hours is tried again within two minutes. */
const estimateMsMin = 0.01;
const estimateMsMax = 600_000;

/**
 * How busy and how slow one endpoint is: the peak EWMA of the time to a response's head, after Finagle's PeakEwma (a
 * slower answer counts at once, faster ones only little by little), with its peaks bounded.
 *
 * A slower answer at most doubles the estimate. One that is late may be late by this process's own pause, which strikes
 * whichever endpoints have a request just then: taken for what it is, it would make these look as slow as a slow one for
 * half a minute. An endpoint that is slow is so again the next time.
 *
 * A failure must not look like a fast answer, or an endpoint that fails fast gets all the traffic: it doubles the
 * estimate too. Requests that were already under way when the estimate was doubled do not double it again, so one lost
 * connection with a hundred requests on it is one failure.
 */
export class EndpointLoad {
  /** Requests given to it that have no head yet. */
  outstanding = 0;
  private estimateMs = unmeasuredMs;
  private measuredAtMs: number;
  private doubledAtMs = -Infinity;
  /** As far as they count: the first one replaces what was only assumed, and the first few are their mean. */
  private answers = 0;

  /** What `before` measured goes on to count. */
  constructor(
    public weight: number,
    private readonly clock: Pick<Clock, "now">,
    before: EndpointLoad | undefined = undefined,
  ) {
    this.measuredAtMs = before?.measuredAtMs ?? clock.now();
    if (before === undefined) return;
    this.estimateMs = before.estimateMs;
    this.answers = before.answers;
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
    if (this.answers < decayAnswers) this.answers += 1;
    if (sampleMs < this.estimateMs) {
      const kept = Math.min(Math.exp((this.measuredAtMs - now) / decayMs), 1 - 1 / this.answers);
      this.estimateMs = this.estimateMs * kept + sampleMs * (1 - kept);
    } else if (startedAtMs >= this.doubledAtMs) {
      // Without the millisecond, an estimate of nearly nothing would need many round trips to become something.
      this.estimateMs = Math.min(sampleMs, 2 * this.estimateMs + 1, estimateMsMax);
      this.doubledAtMs = now;
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
