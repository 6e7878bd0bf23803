/** A route of a generation. */
import type { RouteConfig } from "../snapshot.ts";
import type { RouteMeter } from "../types.ts";
import type { Chain, SendWrap } from "./chain.ts";
import type { LiveFilter } from "./live-filter.ts";
import type { Matcher } from "./match.ts";
import type { WeightedTarget } from "./split.ts";

/**
 * A route with everything that its requests need. What nearly all of them need stands in it, not in its config: with
 * thousands of routes every further object is one that the processor has to wait for.
 */
export interface LiveRoute {
  /** Null for requests that no route takes. */
  readonly config: RouteConfig | null;
  /** The `route` label; empty without a route. */
  readonly name: string;
  readonly meter: RouteMeter;
  /** Downstream filters; null when there are none, and Hono is not entered. */
  readonly chain: Chain | null;
  /** Upstream filters; null when there are none. */
  readonly wrap: SendWrap | null;
  /** Empty where no service answers. */
  readonly targets: readonly WeightedTarget[];
  /** Null without a route: as the listener's limits say. */
  readonly timeoutMs: number | null;
  /** Whether a `rewrite` stands beside its services. */
  readonly rewrites: "yes" | "no";
  /** Of its own filters and those of its listener, the ones that say what may go on. */
  readonly standing: readonly LiveFilter[];
  /** Empty unless services have routes of their own for their share: then this one has no chain, targets and time-out. */
  readonly shares: readonly Share[];
  /** Of whose share it takes requests; null for a route of the listener. */
  readonly shareOf: string | null;
}

/** A service's share of a route's requests. */
export interface Share {
  readonly service: string;
  readonly weight: number;
  readonly routes: Matcher<LiveRoute>;
}
