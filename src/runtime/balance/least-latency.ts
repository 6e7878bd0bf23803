/** The endpoint that answers sooner of two. */
import type { EndpointLoad } from "./load.ts";
import { type Balancer, type Loaded, type PolicyParts, untried } from "./policy.ts";
import { weightedSchedule } from "./schedule.ts";

/**
 * The power of two choices: one endpoint at random by weight, another at random, and the cheaper is taken. The dearer
 * one still has a chance, with the square of the quotient of the costs. Taking the cheaper one always would give a heavy
 * endpoint everything while there is little to do, a new one nothing for half a minute, and one that was slow
 * once nothing until it is forgotten.
 *
 * It is one Metropolis step, from shares by weight towards shares by weight / cost², so endpoints that cost the same get
 * exactly their weights.
 */
export class LeastLatency<E extends Loaded> implements Balancer<E> {
  private readonly schedule: readonly number[];
  private readonly weightMean: number;

  constructor(
    private readonly endpoints: readonly E[],
    private readonly parts: PolicyParts,
  ) {
    const weights = endpoints.map((endpoint) => endpoint.load.weight);
    this.schedule = weightedSchedule(weights);
    this.weightMean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  }

  pick(tried: readonly E[]): E | null {
    const { endpoints, schedule } = this;
    const count = endpoints.length;
    if (count < 2) return endpoints[0] ?? null;
    if (tried.length > 0) return new LeastLatency(untried(endpoints, tried), this.parts).pick(NONE);
    const { random } = this.parts;
    const first = schedule[Math.floor(random.fraction() * schedule.length)]!;
    const drawn = Math.floor(random.fraction() * (count - 1));
    return this.better(endpoints[first]!, endpoints[drawn < first ? drawn : drawn + 1]!);
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

const NONE: readonly never[] = [];
