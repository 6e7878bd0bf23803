/** A route's requests shared out among services that each have routes of their own for their share. */
import type { Random } from "../machine.ts";
import type { RequestHead } from "../types.ts";
import type { LiveRoute, Share } from "./live-route.ts";
import { draw } from "./split.ts";

/** Null where none of the service's routes takes the request. */
export function drawRoute(shares: readonly Share[], request: RequestHead, random: Random): LiveRoute | null {
  const share = shares.length === 1 ? shares[0]! : draw(shares, random);
  return share.routes.find(request);
}

/** The same for a request that is in this service's share already; null too where that has none. */
export function routeInShare(
  shares: readonly Share[],
  service: string | null,
  request: RequestHead,
): LiveRoute | null {
  return shares.find((share) => share.service === service)?.routes.find(request) ?? null;
}
