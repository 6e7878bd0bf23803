/** Gives endpoints that came later less than their weight at first. */
import type { Balancer, KeyedRequest, PolicyParts } from "./policy.ts";
import type { Standing } from "./standing.ts";

/** After so many draws the last one stands: where nearly all endpoints are new there is nobody to spare them. */
const drawsMax = 8;

/** A draw that falls on a new endpoint counts only in proportion to its warmth: exactly as if its weight were less. */
export class SlowStart<E extends { readonly standing: Standing }> implements Balancer<E> {
  constructor(
    private readonly policy: Balancer<E>,
    private readonly slowStartMs: number,
    private readonly parts: PolicyParts,
  ) {}

  pick(tried: readonly E[], request: KeyedRequest): E | null {
    const { policy, parts, slowStartMs } = this;
    const now = parts.clock.now();
    let endpoint = policy.pick(tried, request);
    for (let draw = 1; draw < drawsMax && endpoint !== null; draw += 1) {
      const warmth = endpoint.standing.warmth(now, slowStartMs);
      if (warmth === 1 || parts.random.fraction() < warmth) break;
      endpoint = policy.pick(tried, request);
    }
    return endpoint;
  }
}
