/** Whom a request goes to that was sent before, or that could not be sent. */
import type { KeyedRequest } from "./policy.ts";
import type { Member, Selection } from "./selection.ts";

/**
 * One that is not in `tried`. When all were tried, the one that was the last to answer a request, of whomever: one that is
 * gone answers nobody, one that was late this time answers others. Null when there is none.
 */
export function pickUntried<E extends Member>(
  { balancer, picked }: Selection<E>,
  tried: readonly E[],
  request: KeyedRequest,
): E | null {
  const endpoint = balancer.pick(tried, request);
  if (tried.length === 0 || endpoint === null || !tried.includes(endpoint)) return endpoint;
  return lastAnswered(picked, endpoint);
}

export interface Unreached<E> {
  /** Earlier tries of the same request went there. */
  readonly tried: readonly E[];
  /** This try could not be sent there: among those that were tried, too. */
  readonly unreachable: readonly E[];
}

/**
 * Instead of those that could not be reached, which carried nothing: one that was not tried, else one that an earlier try
 * went to, else one that is ejected. Null when each of them was unreachable.
 */
export function pickInstead<E extends Member>(
  selection: Selection<E>,
  { tried, unreachable }: Unreached<E>,
  request: KeyedRequest,
): E | null {
  const endpoint = pickUntried(selection, tried, request);
  if (endpoint !== null && !unreachable.includes(endpoint)) return endpoint;
  for (const endpoints of [selection.picked, selection.ejected]) {
    const [first, ...others] = endpoints.filter((one) => !unreachable.includes(one));
    if (first !== undefined) return lastAnswered(others, first);
  }
  return null;
}

/** `otherwise` where none of them answered later than that. */
function lastAnswered<E extends Member>(endpoints: readonly E[], otherwise: E): E {
  let last = otherwise;
  for (const endpoint of endpoints)
    if (endpoint.standing.answeredAtMs > last.standing.answeredAtMs) last = endpoint;
  return last;
}
