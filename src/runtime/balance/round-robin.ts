/** Each endpoint in its turn, as often as its weight says. */
import type { Random } from "../../machine.ts";
import type { Balancer, Loaded } from "./policy.ts";
import { weightedSchedule } from "./schedule.ts";

export class RoundRobin<E extends Loaded> implements Balancer<E> {
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
