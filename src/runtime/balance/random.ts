/** Any endpoint, by weight. */
import type { Random } from "../../machine.ts";
import { type Balancer, type Loaded, untried } from "./policy.ts";
import { weightedSchedule } from "./schedule.ts";

export class RandomChoice<E extends Loaded> implements Balancer<E> {
  private readonly schedule: readonly number[];

  constructor(
    private readonly endpoints: readonly E[],
    private readonly random: Random,
  ) {
    this.schedule = weightedSchedule(endpoints.map((endpoint) => endpoint.load.weight));
  }

  pick(tried: readonly E[]): E | null {
    const { endpoints, schedule, random } = this;
    if (tried.length > 0) return new RandomChoice(untried(endpoints, tried), random).pick([]);
    return endpoints[schedule[Math.floor(random.fraction() * schedule.length)]!] ?? null;
  }
}
