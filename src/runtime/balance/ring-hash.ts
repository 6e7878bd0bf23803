/** The endpoint that the request's key belongs to. */

import type { Random } from "../../machine.ts";
import type { RequestKey } from "../../snapshot.ts";
import { type HashRing, hashText, type RingMember } from "./hash-ring.ts";
import type { Balancer, KeyedRequest, Loaded } from "./policy.ts";
import { RandomChoice } from "./random.ts";

export interface RingHashParts<E extends Loaded & RingMember> {
  readonly key: RequestKey;
  /** Of all endpoints, so that a key whose endpoint is away for a while comes back to it. */
  readonly ring: HashRing<E>;
  readonly random: Random;
}

/** A request without the key goes to any; one whose endpoint is not among these, or was tried, to the next on the ring. */
export class RingHash<E extends Loaded & RingMember> implements Balancer<E> {
  private readonly parts: RingHashParts<E>;
  private readonly usable: ReadonlySet<E>;
  private readonly others: RandomChoice<E>;

  constructor(endpoints: readonly E[], parts: RingHashParts<E>) {
    this.parts = parts;
    this.usable = new Set(endpoints);
    this.others = new RandomChoice(endpoints, parts.random);
  }

  pick(tried: readonly E[], request: KeyedRequest): E | null {
    const { key, ring } = this.parts;
    const value = request.keyValue(key);
    if (value === null) return this.others.pick(tried);
    const hash = hashText(value);
    const untried =
      tried.length === 0 ? null : ring.find(hash, (one) => this.isUsable(one) && !tried.includes(one));
    return untried ?? ring.find(hash, this.isUsable);
  }

  private readonly isUsable = (endpoint: E): boolean => this.usable.has(endpoint);
}
