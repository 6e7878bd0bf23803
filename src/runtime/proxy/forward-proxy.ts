/** What a listener offers its callers as their HTTP proxy, made live. */
import type { ForwardProxyConfig, ListenerConfig, RouteConfig } from "../../snapshot.ts";
import type { ServiceParts } from "../endpoint.ts";
import type { LiveRoute } from "../live-route.ts";
import type { HostNames } from "./host-names.ts";
import { OUTSIDE, Outside } from "./outside.ts";
import type { WantedServices } from "./wanted-services.ts";

/** The route of tunnels that lead to services of the mesh; the requests in them have routes of their own. */
const TUNNEL = "(tunnel)";

export interface ForwardProxy {
  readonly config: ForwardProxyConfig;
  /** Those that its routes name: what is asked of them and no route takes needs no further looking. */
  readonly hosts: ReadonlySet<string>;
  readonly wanted: WantedServices;
  /** Null when nobody may go there. */
  readonly outside: Outside | null;
  /** Of requests to hosts outside; each of them gets targets of its own. */
  readonly outsideRoute: LiveRoute;
  readonly tunnelRoute: LiveRoute;
}

export interface ForwardProxyParts {
  readonly services: ServiceParts;
  readonly names: HostNames;
  readonly wanted: WantedServices;
}

/** `running`: of the listener as it is now, whose connections go on where nothing of them changed. */
export function forwardProxy(
  { name, proxy, limits, place, routes }: ListenerConfig,
  { unmatched, running }: { readonly unmatched: LiveRoute; readonly running: ForwardProxy | null },
  { services, names, wanted }: ForwardProxyParts,
): ForwardProxy | null {
  if (proxy === null) return null;
  const { meters } = services;
  const before = running?.outside ?? null;
  const kept = before !== null && JSON.stringify(before.limits) === JSON.stringify(limits) ? before : null;
  const config: RouteConfig = {
    name: OUTSIDE,
    match: { host: null, path: null, methods: [], headers: [], query: [] },
    filters: [],
    timeoutMs: limits.routeTimeoutMs,
    action: { kind: "forward", to: [], rewrite: { path: null, host: null } },
    place,
  };
  const { timeoutMs } = config;
  return {
    config: proxy,
    hosts: new Set(routes.flatMap(({ match }) => match.host ?? [])),
    wanted,
    outside: proxy.egress === "deny" ? null : (kept ?? new Outside(limits, services, names)),
    outsideRoute: { ...unmatched, config, name: OUTSIDE, meter: meters.route(name, OUTSIDE), timeoutMs },
    tunnelRoute: { ...unmatched, name: TUNNEL, meter: meters.route(name, TUNNEL) },
  };
}
