/** Requests that are under way when a new config goes live, and would not be let in by it. */
import type { RequestHead, RequestUnderWay } from "../types.ts";
import type { LiveListener } from "./generation.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Service } from "./service.ts";
import { routeInShare } from "./shares.ts";

/** One that has no end yet: its connection carries no other before. */
export interface LongRequest extends RequestUnderWay, RequestHead {
  readonly connection: DownstreamConnection;
  /** That took it. */
  readonly route: LiveRoute;
  /** That was asked last. */
  readonly service: Service | null;
  /** What its measurement will say. */
  reason: string | null;
}

/** Why it may not go on, in words; null when it may. */
export function standingProblem(request: LongRequest, listener: LiveListener): string | null {
  return callerProblem(request.connection, listener) ?? filterProblem(request, listener);
}

/** An upgraded connection, an answer that streams, a body that is not whole. What waits for its answer may become one. */
export function isLong({ connection: { state, answer, request } }: LongRequest): boolean {
  return state === "tunnel" || (state === "busy" && (answer.started || !request.isWhole));
}

function callerProblem({ tls }: DownstreamConnection, { callers }: LiveListener): string | null {
  if (callers === null) return null;
  if (tls === null) return callers.plain === "served" ? null : "it speaks plain HTTP";
  return callers.unwanted(tls.peer);
}

/** The filters of the route that would take it now: the one that took it may be gone, or be for others. */
function filterProblem(request: LongRequest, { matcher, unmatched }: LiveListener): string | null {
  const route = matcher.find(request) ?? unmatched;
  // Where the services had no rules of their own yet, it is in the share of the one that it went to.
  const share = request.route.shareOf ?? request.service?.config.name ?? null;
  const { standing } = routeInShare(route.shares, share, request) ?? route;
  for (const filter of standing) {
    try {
      if (filter.stillAllows?.(request) === false)
        return `the filter ${filter.name} does not allow it any more`;
    } catch (error) {
      return filter.blame(error).message;
    }
  }
  return null;
}

export function end(request: LongRequest): void {
  request.reason = "policy-changed";
  request.connection.abort();
}
