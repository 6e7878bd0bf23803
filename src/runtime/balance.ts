/** Which endpoint of a service gets the next request. */
import type { Clock, Random } from "../types.ts";

/** Time in which an old measurement loses all but 1/e of its say. */
const decayMs = 10_000;
/** What an endpoint is taken to need before it was measured: it is neither flooded nor starved. */
const unmeasuredMs = 30;
/** Bounds of the estimate: quotients stay finite, and one that failed for hours is tried again within two minutes. */
const estimateMsMin = 0.01;
const estimateMsMax = 600_000;
/** Positions in a schedule; weights that need more are rounded. */
const scheduleLengthMax = 4096;

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

  constructor(
    readonly weight: number,
    private readonly clock: Clock,
  ) {
    this.measuredAtMs = clock.now();
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

export interface Balancer<E extends { readonly load: EndpointLoad }> {
  /** One that is not in `tried`; when all were tried, any again; null when there is none. */
  pick(tried: readonly E[]): E | null;
}

/** An endpoint with weight 0 gets nothing. */
export function createBalancer<E extends { readonly load: EndpointLoad }>(
  policy: "least-latency" | "round-robin",
  endpoints: readonly E[],
  parts: { readonly clock: Clock; readonly random: Random },
): Balancer<E> {
  const weighted = endpoints.filter((endpoint) => endpoint.load.weight > 0);
  return policy === "round-robin"
    ? new RoundRobin(weighted, parts.random)
    : new LeastLatency(weighted, parts);
}

class RoundRobin<E extends { readonly load: EndpointLoad }> implements Balancer<E> {
  private readonly schedule: readonly number[];
  private position: number;

  constructor(
    private readonly endpoints: readonly E[],
    random: Random,
  ) {
    this.schedule = weightedSchedule(endpoints.map((endpoint) => endpoint.load.weight));
    // Workers that all begin with the first endpoint would give it as many requests as there are workers.
    this.position = Math.floor(random.fraction() * this.schedule.length);
  }

  pick(tried: readonly E[]): E | null {
    const { endpoints, schedule } = this;
    const length = schedule.length;
    for (let step = 0; step < length; step += 1) {
      const endpoint = endpoints[this.next()]!;
      if (tried.length === 0 || !tried.includes(endpoint)) return endpoint;
    }
    return length === 0 ? null : endpoints[this.next()]!;
  }

  private next(): number {
    const index = this.schedule[this.position]!;
    this.position = this.position + 1 === this.schedule.length ? 0 : this.position + 1;
    return index;
  }
}

/**
 * The power of two choices: one endpoint at random by weight, another at random, and the cheaper is taken. The dearer
 * one still has a chance, with the square of the quotient of the costs. Taking the cheaper one always would give a heavy
 * endpoint everything while there is little to do, a new one nothing for half a minute, and one that was slow
 * once nothing until it is forgotten.
 *
 * It is one Metropolis step, from shares by weight towards shares by weight / cost², so endpoints that cost the same get
 * exactly their weights.
 */
class LeastLatency<E extends { readonly load: EndpointLoad }> implements Balancer<E> {
  private readonly schedule: readonly number[];
  private readonly weightMean: number;

  constructor(
    private readonly endpoints: readonly E[],
    private readonly parts: { readonly clock: Clock; readonly random: Random },
  ) {
    const weights = endpoints.map((endpoint) => endpoint.load.weight);
    this.schedule = weightedSchedule(weights);
    this.weightMean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  }

  pick(tried: readonly E[]): E | null {
    const { endpoints, schedule } = this;
    const count = endpoints.length;
    if (count < 2) return endpoints[0] ?? null;
    if (tried.length > 0) return this.pickUntried(tried);
    const { random } = this.parts;
    const first = schedule[Math.floor(random.fraction() * schedule.length)]!;
    const drawn = Math.floor(random.fraction() * (count - 1));
    return this.better(endpoints[first]!, endpoints[drawn < first ? drawn : drawn + 1]!);
  }

  /** Rare, so it may build a list: the same choice among those that are left. */
  private pickUntried(tried: readonly E[]): E | null {
    const left = this.endpoints.filter((endpoint) => !tried.includes(endpoint));
    if (left.length === 0) return this.pick([]);
    return new LeastLatency(left, this.parts).pick([]);
  }

  private better(first: E, second: E): E {
    const now = this.parts.clock.now();
    const firstCost = this.cost(first.load, now);
    const secondCost = this.cost(second.load, now);
    const chance =
      (second.load.weight * firstCost * firstCost) / (first.load.weight * secondCost * secondCost);
    return chance >= 1 || this.parts.random.fraction() < chance ? second : first;
  }

  /** How long a further request would take. A heavy endpoint has more requests at the same load. */
  private cost(load: EndpointLoad, nowMs: number): number {
    return load.latencyMs(nowMs) * ((load.outstanding * this.weightMean) / load.weight + 1);
  }
}

/** Indices of the endpoints, each as often as its weight says, and spread evenly. */
function weightedSchedule(weights: readonly number[]): readonly number[] {
  const lengthMax = Math.max(scheduleLengthMax, weights.length);
  const unit = weights.every(Number.isInteger) ? weights.reduce(greatestCommonDivisor, 0) : 1;
  const total = weights.reduce((sum, weight) => sum + weight, 0) / unit;
  const exact = total <= lengthMax && weights.every((weight) => Number.isInteger(weight / unit));
  const turns: { index: number; time: number }[] = [];
  for (const [index, weight] of weights.entries()) {
    const share = weight / unit;
    const count = exact ? share : Math.max(1, Math.round((share / total) * scheduleLengthMax));
    // Each has its own phase, so that equal weights take turns in order.
    for (let turn = 0; turn < count; turn += 1) {
      turns.push({ index, time: (turn + index / weights.length) / count });
    }
  }
  return turns.sort((a, b) => a.time - b.time).map((turn) => turn.index);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
