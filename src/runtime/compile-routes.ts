/** A listener's routes become live: filters created, chains folded, targets found. */
import type { FilterEntry, ForwardTarget, RouteConfig, SourcePlace } from "../snapshot.ts";
import { type Chain, compileChain, paramNames, type SendWrap, wrapSend } from "./chain.ts";
import { CompileError, placed } from "./compile-error.ts";
import type { Generation } from "./generation.ts";
import { createFilters, type FilterParts, type LiveFilter } from "./live-filter.ts";
import type { LiveRoute, Share } from "./live-route.ts";
import { createMatcher } from "./match.ts";
import type { Steps } from "./slices.ts";
import { SplitCandidates, type WeightedTarget } from "./split.ts";

export interface FilterMaking {
  readonly filterParts: FilterParts;
  /** All that were created so far. */
  readonly filters: LiveFilter[];
}

interface RouteMaking extends FilterMaking {
  readonly generation: Generation;
  /** Of routes to one service whatever its version, by its name: all of them share it. */
  readonly targets: Map<string, readonly WeightedTarget[]>;
}

/** Downstream and upstream filters, folded. */
interface Folded {
  readonly chain: Chain | null;
  readonly wrap: SendWrap | null;
}

/** What stands around a route: its listener, or the route of which it takes a share. */
interface Surroundings {
  readonly listener: string;
  /** Whose filters' limits are whose. */
  readonly scope: string;
  readonly shareOf: string | null;
  /** Whose `:names` are Hono's params; null for none. */
  readonly path: string | null;
  /** Those of the listener first. */
  readonly filters: readonly LiveFilter[];
  /** These alone. */
  readonly folded: Folded;
  readonly standing: readonly LiveFilter[];
}

export function surroundingsOf(listener: string, filters: readonly LiveFilter[]): Surroundings {
  const folded = fold(filters, null);
  const standing = filters.filter(isStanding);
  return { listener, scope: listener, shareOf: null, path: null, filters, folded, standing };
}

export function* liveRoute(
  config: RouteConfig,
  outside: Surroundings,
  making: RouteMaking,
): Steps<LiveRoute> {
  const { name, timeoutMs } = config;
  const { generation } = making;
  const around = withFilters(config, outside, making);
  const { folded, standing } = around;
  const shares = yield* sharesOf(config, around, making);
  const isShared = shares.length > 0;
  return {
    config,
    name,
    meter: generation.parts.meters.route(around.listener, name),
    chain: isShared ? null : folded.chain,
    wrap: isShared ? null : folded.wrap,
    targets: isShared ? NO_TARGETS : targetsOf(config, generation, making.targets),
    timeoutMs: isShared ? null : timeoutMs,
    rewrites: rewrites(config),
    standing,
    shares,
    shareOf: around.shareOf,
  };
}

/** What stands around that which is inside of the route: its filters too. */
function withFilters(config: RouteConfig, outside: Surroundings, making: RouteMaking): Surroundings {
  const { name, match } = config;
  const scope = `${outside.scope}/${name}`;
  const own = config.filters.length === 0 ? NO_FILTERS : create(config, scope, making);
  // Outer filters count on their own names.
  const path = paramNames(outside.path).length > 0 ? outside.path : match.path;
  if (own.length === 0 && (path === outside.path || paramNames(path).length === 0)) {
    return { ...outside, scope };
  }
  const filters = [...outside.filters, ...own];
  const standing = own.some(isStanding) ? filters.filter(isStanding) : outside.standing;
  return { ...outside, scope, path, filters, folded: fold(filters, path), standing };
}

/** Empty where no service has routes of its own. */
function* sharesOf(
  { action }: RouteConfig,
  around: Surroundings,
  making: RouteMaking,
): Steps<readonly Share[]> {
  if (action.kind !== "forward" || action.to[0]?.routes === undefined) return NO_SHARES;
  const shares: Share[] = [];
  for (const { service, weight, routes = [] } of action.to) {
    const outside = { ...around, scope: `${around.scope} ${service}`, shareOf: service };
    const made: { readonly match: RouteConfig["match"]; readonly value: LiveRoute }[] = [];
    for (const route of routes) {
      made.push({ match: route.match, value: yield* liveRoute(route, outside, making) });
      yield;
    }
    shares.push({ service, weight, routes: yield* createMatcher(made) });
  }
  return shares;
}

/** Of a listener or a route. */
export function create(
  owner: { readonly filters: readonly FilterEntry[]; readonly place: SourcePlace },
  scope: string,
  { filterParts, filters }: FilterMaking,
): readonly LiveFilter[] {
  const created = placed(owner, () => createFilters(owner.filters, filterParts, scope));
  filters.push(...created);
  return created;
}

export function isStanding({ stillAllows }: LiveFilter): boolean {
  return stillAllows !== null;
}

function fold(filters: readonly LiveFilter[], path: string | null): Folded {
  return { chain: compileChain(filters, path), wrap: wrapSend(filters) };
}

function targetsOf(
  route: RouteConfig,
  { services }: Generation,
  shared: RouteMaking["targets"],
): readonly WeightedTarget[] {
  const { action } = route;
  if (action.kind !== "forward") return NO_TARGETS;
  const [only, ...more] = action.to;
  const isShared = more.length === 0 && only!.version === null;
  const known = isShared ? shared.get(only!.service) : undefined;
  if (known !== undefined) return known;
  const targets = action.to.map((target): WeightedTarget => {
    const { service: name, version, weight } = target;
    const service = services.get(name);
    if (service === undefined) throw new CompileError(route.place, `no service is called "${name}"`);
    if (version === null) return { ...service.destination(null), version, weight };
    const candidates = new SplitCandidates(service, version, versionsBeside(target, action.to));
    return { service, candidates, version, weight };
  });
  if (isShared) shared.set(only!.service, targets);
  return targets;
}

const NO_FILTERS: readonly LiveFilter[] = [];
export const NO_TARGETS: readonly WeightedTarget[] = [];
export const NO_SHARES: readonly Share[] = [];

/** Versions of the same service that the route sends requests to as well. */
function versionsBeside(target: ForwardTarget, all: readonly ForwardTarget[]): string[] {
  const others = all.filter(({ service, version, weight }) => {
    return service === target.service && version !== target.version && weight > 0;
  });
  return others.flatMap(({ version }) => version ?? []);
}

function rewrites({ action }: RouteConfig): "yes" | "no" {
  if (action.kind !== "forward") return "no";
  return action.rewrite.path === null && action.rewrite.host === null ? "no" : "yes";
}
