/** What the nodes of those do that call a service: its routes, of its own keys and of those of `routes`. */
import type { CallerRules } from "../../mesh.ts";
import type { FilterEntry, RouteConfig, RouteMatch } from "../../snapshot.ts";
import { formatDuration } from "../../units.ts";
import { checkFields, checkList } from "../check.ts";
import type { FilterContext } from "../filter-list.ts";
import { childOf, type Part } from "../located.ts";
import { actionOf, filterOf, matchOf, type Shown } from "../resolved.ts";
import { type RouteDraft, readAction, readMatch, routeParts, routesOf } from "../routes.ts";
import { type Calls, callKeys, composed, readCalls } from "./calls.ts";
import { meshRouteGrammar, meshRoutesMax } from "./grammar.ts";

export interface CallerContext extends FilterContext {
  readonly uses: Map<FilterEntry, readonly string[]>;
}

/** A service as it is read, for its routes. */
interface Callee {
  readonly name: string;
  readonly part: Part;
  /** Null when they are wrong. */
  readonly calls: Calls | null;
}

export interface ReadCaller {
  readonly rules: Pick<CallerRules, "routes" | "others">;
  /** In the document's grammar. */
  readonly resolved: object;
}

interface ReadRoute {
  readonly draft: RouteDraft;
  readonly calls: Calls | null;
}

const noCalls: Calls = { split: null, own: { fault: null, mirror: null, retry: null }, filters: [] };
const everything: RouteMatch = { host: null, path: null, methods: [], headers: [], query: [] };

/** Null when anything in it is wrong. `timeoutMs` is the service's. */
export function readCaller(
  service: { readonly name: string; readonly part: Part; readonly timeoutMs: number },
  context: CallerContext,
): ReadCaller | null {
  const { name, part, timeoutMs } = service;
  const calls = readCalls(part, { service: name, list: "outbound", outer: null }, context);
  const wanted = "a list of routes";
  const { report } = context;
  const list = checkList(childOf(part, "routes"), { wanted, entriesMax: meshRoutesMax, report });
  const read = (list ?? []).map((route) => readRoute(route, { name, part, calls }, context));
  const drafts = read.map(({ draft }) => draft);
  const takesAll = drafts.some(({ match }) => match !== null && isEverything(match));
  // In front, so that it is the one with the service's bare name.
  const all = takesAll ? drafts : [restOf({ name, part, calls }, context), ...drafts];
  const named = routesOf(all, { timeoutMs, host: name }, context);
  if (list === null || calls === null || named === null) return null;
  const routes = takesAll ? named : [...named.slice(1), named[0]!];
  const { shown } = context;
  const resolved = {
    outbound: calls.filters.map((entry) => filterOf(entry, shown)),
    ...callsOf(calls, shown),
    timeout: formatDuration(timeoutMs),
    ...(read.length === 0
      ? {}
      : { routes: read.map((one, index) => routeOf(one, { route: routes[index]!, outer: calls }, shown)) }),
  };
  return {
    rules: { routes, others: servicesIn(routes, context).filter((other) => other !== name) },
    resolved,
  };
}

function readRoute(part: Part, callee: Callee, context: CallerContext): ReadRoute {
  const { report } = context;
  const except = [...routeParts, "split", ...callKeys];
  const { some, complete } = checkFields(meshRouteGrammar, part, { report, except });
  const match = readHostless(part, context);
  const outer = { part: callee.part, calls: callee.calls ?? noCalls };
  const calls = readCalls(part, { service: callee.name, list: "filters", outer }, context);
  const otherwise = targetsOf(callee.name, calls ?? outer.calls);
  const action =
    part.node.kind === "map" ? readAction(part, { written: some, match, otherwise }, context) : null;
  const alone = splitsAlone(part, context);
  return {
    draft: {
      part,
      name: some.name ?? null,
      match,
      filters: calls === null ? null : composed(calls, context),
      timeoutMs: some.timeout ?? null,
      action,
      complete: complete && alone,
    },
    calls,
  };
}

/** Services are called by their own names. */
function readHostless(part: Part, context: CallerContext): RouteMatch | null {
  const written = childOf(part, "match");
  const host = written === null ? null : childOf(written, "host");
  const match = readMatch(written, context);
  if (host === null) return match;
  const message = "cannot match a host here: wanted what tells requests to one service apart";
  context.report.add(host.key, host.path, {
    message,
    hints: ["hosts are matched by the routes of a gateway"],
  });
  return null;
}

function splitsAlone(part: Part, { report }: CallerContext): boolean {
  const split = childOf(part, "split");
  const ending = ["to", "redirect", "respond"].find((key) => childOf(part, key) !== null);
  if (split === null || ending === undefined) return true;
  const message = `cannot use \`split\` beside \`${ending}\`: wanted one of them`;
  report.add(split.key, split.path, { message });
  return false;
}

/** What no route of the list takes. */
function restOf({ name, part, calls }: Callee, context: CallerContext): RouteDraft {
  return {
    part: { ...part, node: { ...part.node, range: part.key } },
    name: null,
    match: everything,
    filters: calls === null ? null : composed(calls, context),
    timeoutMs: null,
    action: { kind: "forward", to: targetsOf(name, calls ?? noCalls), rewrite: { path: null, host: null } },
    complete: true,
  };
}

function targetsOf(service: string, { split }: Calls) {
  return split ?? [{ service, version: null, weight: 1 }];
}

function isEverything({ path, methods, headers, query }: RouteMatch): boolean {
  return path === null && methods.length === 0 && headers.length === 0 && query.length === 0;
}

function servicesIn(routes: readonly RouteConfig[], { uses }: CallerContext): readonly string[] {
  const names = routes.flatMap(({ action, filters }) => [
    ...(action.kind === "forward" ? action.to.map(({ service }) => service) : []),
    ...filters.flatMap((entry) => uses.get(entry) ?? []),
  ]);
  return [...new Set(names)];
}

function callsOf({ split, own }: Calls, shown: Shown): object {
  const filters = callKeys.flatMap((key) => {
    const entry = own[key];
    return entry === null ? [] : [[key, shown.get(entry)] as const];
  });
  return { ...Object.fromEntries(filters), ...(split === null ? {} : { split: sharesOf(split) }) };
}

function sharesOf(split: NonNullable<Calls["split"]>): object {
  return Object.fromEntries(split.map(({ version, weight }) => [version, weight]));
}

/** The service's own filters are not repeated here. */
function routeOf(
  { draft, calls }: ReadRoute,
  { route, outer }: { readonly route: RouteConfig; readonly outer: Calls },
  shown: Shown,
): object {
  const { split: _, ...own } = callsOf(calls!, shown) as { split?: object };
  const { split, to, ...ending } = actionOf(route.action, shown) as Record<string, unknown>;
  const isImplied = childOf(draft.part, "to") === null && to !== undefined;
  const implied = calls!.split === null ? {} : { split: sharesOf(calls!.split) };
  return {
    name: route.name,
    match: matchOf(route.match),
    filters: calls!.filters.slice(outer.filters.length).map((entry) => filterOf(entry, shown)),
    ...own,
    timeout: formatDuration(route.timeoutMs),
    ...(isImplied ? implied : {}),
    ...(isImplied || to === undefined ? {} : { to }),
    ...ending,
  };
}
