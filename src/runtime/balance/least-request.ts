/** The endpoint with fewer requests in flight of two, in proportion to its weight. */
import type { Random } from "../../machine.ts";
import { type Balancer, type Loaded, untried } from "./policy.ts";
import { weightedSchedule } from "./schedule.ts";

/** Draws of the second endpoint by weight; where one has nearly all the weight, it is then any other. */
const drawsMax = 4;

/**
 * The power of two choices: two endpoints at random by weight, and of those the one with fewer requests for its weight.
 * Where both have none the first stays, so with little to do, too, each gets what its weight says.
 */
export class LeastRequest<E extends Loaded> implements Balancer<E> {
  private readonly schedule: readonly number[];

  constructor(
    private readonly endpoints: readonly E[],
    private readonly random: Random,
  ) {
    this.schedule = weightedSchedule(endpoints.map((endpoint) => endpoint.load.weight));
  }

  pick(tried: readonly E[]): E | null {
    const { endpoints, schedule, random } = this;
    if (endpoints.length < 2) return endpoints[0] ?? null;
    if (tried.length > 0) return new LeastRequest(untried(endpoints, tried), random).pick([]);
    const drawn = schedule[Math.floor(random.fraction() * schedule.length)]!;
    const first = endpoints[drawn]!;
    const second = endpoints[this.other(drawn)]!;
    return second.load.outstanding * first.load.weight < first.load.outstanding * second.load.weight
      ? second
      : first;
  }

  private other(first: number): number {
    const { schedule, random } = this;
    for (let draw = 0; draw < drawsMax; draw += 1) {
      const drawn = schedule[Math.floor(random.fraction() * schedule.length)]!;
      if (drawn !== first) return drawn;
    }
    const drawn = Math.floor(random.fraction() * (this.endpoints.length - 1));
    return drawn < first ? drawn : drawn + 1;
  }
}
