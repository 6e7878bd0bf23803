/** What the policies have in common. */

import type { Clock, Random } from "../../machine.ts";
import type { RequestKey } from "../../snapshot.ts";
import type { EndpointLoad } from "./load.ts";

export interface Loaded {
  readonly load: EndpointLoad;
}

/** A request, for policies that tie it to an endpoint; it is asked only by those. */
export interface KeyedRequest {
  /** Null when the request has no such thing. */
  keyValue(key: RequestKey): string | null;
}

export interface Balancer<E> {
  /** One that is not in `tried`; when all were tried, any again; null when there is none. */
  pick(tried: readonly E[], request: KeyedRequest): E | null;
}

export interface PolicyParts {
  readonly clock: Clock;
  readonly random: Random;
}

/** Those that were not tried; all of them when none is left. Rare, so it may build a list. */
export function untried<E>(endpoints: readonly E[], tried: readonly E[]): readonly E[] {
  const left = endpoints.filter((endpoint) => !tried.includes(endpoint));
  return left.length === 0 ? endpoints : left;
}
