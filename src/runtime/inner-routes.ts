import type { RouteConfig } from "../snapshot.ts";

const NONE: readonly RouteConfig[] = [];

/** Routes within a route: those of the services that have rules of their own for their share of its requests. */
export function innerRoutes({ action }: RouteConfig): readonly RouteConfig[] {
  if (action.kind !== "forward" || action.to[0]?.routes === undefined) return NONE;
  return action.to.flatMap(({ routes = NONE }) => routes);
}
