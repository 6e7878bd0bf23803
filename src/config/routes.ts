/** Routes: each by itself, then what they have to do with each other. */
import type { z } from "zod";
import type {
  FilterEntry,
  ForwardTarget,
  NamedValueMatch,
  RouteAction,
  RouteConfig,
  RouteMatch,
  ValueMatch,
} from "../snapshot.ts";
import { checkFields, isMisspelt } from "./check.ts";
import { type FilterContext, readFilters, reportUnknownService } from "./filter-list.ts";
import { matchGrammar, redirectGrammar, respondGrammar, rewriteGrammar, routeGrammar } from "./grammar.ts";
import { hidingRoutes } from "./hidden-routes.ts";
import { childOf, type Part, spotOf, writtenOf } from "./located.ts";
import { lineOf, placeName } from "./source.ts";
import { choice, quoted } from "./wanted.ts";

type Written = Partial<z.output<typeof routeGrammar>>;
type WrittenMatch = z.output<typeof matchGrammar>;

const endings = ["to", "redirect", "respond"] as const;
/** Fields that frame a message are the codec's (RFC 9112, section 6). */
const framingFields = new Set([
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "trailer",
]);

/** What was right of a route. */
export interface RouteDraft {
  readonly part: Part;
  readonly name: string | null;
  readonly match: RouteMatch | null;
  readonly filters: readonly FilterEntry[] | null;
  readonly timeoutMs: number | null;
  readonly action: RouteAction | null;
  readonly complete: boolean;
}

/** Null when any route is wrong. `timeoutMs` is for routes that set none. */
export function readRoutes(
  parts: readonly Part[],
  timeoutMs: number,
  context: FilterContext,
): readonly RouteConfig[] | null {
  const drafts = parts.map((part) => readRoute(part, context));
  const routes = routesOf(drafts, { timeoutMs, host: "" }, context);
  const written = { timeoutSource: "written" } as const;
  return (
    routes?.map((route, index) => (drafts[index]!.timeoutMs === null ? route : { ...route, ...written })) ??
    null
  );
}

/** The same, once each was read; `host` is what their names begin with where no host is matched. */
export function routesOf(
  drafts: readonly RouteDraft[],
  { timeoutMs, host }: { readonly timeoutMs: number; readonly host: string },
  context: FilterContext,
): readonly RouteConfig[] | null {
  const namesRight = checkNames(drafts, context);
  const allSeen = checkHidden(drafts, context);
  const names = routeNames(drafts, host);
  const routes = drafts.flatMap((draft, index): RouteConfig[] => {
    const { part, match, filters, action, complete } = draft;
    if (match === null || filters === null || action === null || !complete) return [];
    const place = { file: part.node.range.file.name, line: lineOf(part.node.range) };
    return [{ name: names[index]!, match, filters, timeoutMs: draft.timeoutMs ?? timeoutMs, action, place }];
  });
  return namesRight && allSeen && routes.length === drafts.length ? routes : null;
}

/** Keys of a route that are not read with its grammar as a whole. */
export const routeParts = ["match", "filters", "rewrite", "redirect", "respond"] as const;

function readRoute(part: Part, context: FilterContext): RouteDraft {
  const { report } = context;
  const { some, complete } = checkFields(routeGrammar, part, { report, except: routeParts });
  const written: Written = some;
  const filters = readFilters(childOf(part, "filters"), "route", context);
  const match = readMatch(childOf(part, "match"), context);
  const action =
    part.node.kind === "map" ? readAction(part, { written, match, otherwise: null }, context) : null;
  return {
    part,
    name: written.name ?? null,
    match,
    filters,
    timeoutMs: written.timeout ?? null,
    action,
    complete,
  };
}

export function readMatch(part: Part | null, context: FilterContext): RouteMatch | null {
  if (part === null) return { host: null, path: null, methods: [], headers: [], query: [] };
  const { some, complete } = checkFields(matchGrammar, part, context);
  if (!complete) return null;
  const match: WrittenMatch = some;
  const method = match.method ?? [];
  const headers = valueMatches(match.headers ?? {}, "header");
  const twice = headers.find(
    ({ name }, index) => headers.findIndex((other) => other.name === name) !== index,
  );
  if (twice !== undefined) {
    const place = childOf(part, "headers")!;
    const message = `cannot match the header ${twice.name} twice: names compare without case`;
    context.report.add(place.key, place.path, { message });
    return null;
  }
  return {
    host: match.host ?? null,
    path: match.path ?? null,
    methods: typeof method === "string" ? [method] : [...new Set(method)],
    headers,
    query: valueMatches(match.query ?? {}, "query"),
  };
}

function valueMatches(
  written: NonNullable<WrittenMatch["headers"]>,
  kind: "header" | "query",
): readonly NamedValueMatch[] {
  return Object.entries(written).map(([name, value]) => {
    let match: ValueMatch = { kind: "present" };
    if (typeof value === "string") match = { kind: "exact", value };
    else if ("prefix" in value) match = { kind: "prefix", value: value.prefix };
    return { name: kind === "header" ? name.toLowerCase() : name, match };
  });
}

export interface RouteSoFar {
  readonly written: Pick<Written, "to">;
  readonly match: RouteMatch | null;
  /** Where it ends without saying so; null where it has to. */
  readonly otherwise: readonly ForwardTarget[] | null;
}

export function readAction(part: Part, route: RouteSoFar, context: FilterContext): RouteAction | null {
  const { report } = context;
  const given = endings.filter((name) => childOf(part, name) !== null);
  const [ending, second] = given;
  const rewrite = childOf(part, "rewrite");
  const isImplied = ending === undefined && route.otherwise !== null;
  let right = given.length === 1 || isImplied;
  if (ending === undefined && !isImplied) {
    const routeKeys = Object.keys(routeGrammar.shape);
    if (!endings.some((name) => isMisspelt(name, part, routeKeys)))
      report.add(spotOf(part), part.path, {
        message: `cannot find where this route ends: wanted one of ${choice(endings)}`,
      });
  } else if (second !== undefined) {
    const other = childOf(part, second)!;
    const message = `cannot end a route in both \`${ending}\` and \`${second}\`: wanted one of them`;
    report.add(other.key, other.path, { message });
  }
  if (rewrite !== null && childOf(part, "to") === null && !isImplied) {
    report.add(rewrite.key, rewrite.path, { message: "cannot use `rewrite` here: wanted it beside `to`" });
    right = false;
  }
  const actions = [
    readForward(part, route, context),
    readRedirect(childOf(part, "redirect"), route, context),
    readRespond(childOf(part, "respond"), context),
  ];
  return right ? (actions.find((action) => action !== null) ?? null) : null;
}

function readForward(part: Part, route: RouteSoFar, context: FilterContext): RouteAction | null {
  const { report, services } = context;
  const rewritePart = childOf(part, "rewrite");
  const rewrite = rewritePart === null ? {} : readRewrite(rewritePart, route, context);
  const to = childOf(part, "to");
  const { to: written } = route.written;
  const isImplied = endings.every((name) => childOf(part, name) === null);
  if (isImplied && route.otherwise !== null && rewrite !== null) {
    return forward(route.otherwise, rewrite);
  }
  if (to === null || written === undefined) return null;
  const targets = typeof written === "string" ? { [written]: 1 } : written;
  const unknown = Object.keys(targets).filter((name) => services !== null && !services.has(name));
  for (const name of unknown)
    reportUnknownService(name, childOf(to, name) ?? to, { report, services: services! });
  const total = Object.values(targets).reduce((sum, weight) => sum + weight, 0);
  if (total === 0) {
    const message = "cannot share requests by these weights: wanted at least one above 0";
    report.add(spotOf(to), to.path, { message });
  }
  if (rewrite === null || unknown.length > 0 || total === 0) return null;
  const shares = Object.entries(targets).map(([service, weight]) => ({ service, version: null, weight }));
  return forward(shares, rewrite);
}

function forward(to: readonly ForwardTarget[], { path, host }: z.output<typeof rewriteGrammar>): RouteAction {
  return { kind: "forward", to, rewrite: { path: path ?? null, host: host ?? null } };
}

function readRewrite(part: Part, route: RouteSoFar, context: FilterContext) {
  const { some, complete } = checkFields(rewriteGrammar, part, context);
  const starRight = checkStar(part, route.match, context);
  if (!complete || !starRight) return null;
  if (some.path !== undefined || some.host !== undefined) return some;
  context.report.add(spotOf(part), part.path, {
    message: "cannot rewrite nothing: wanted `path`, `host` or both",
  });
  return null;
}

function readRedirect(part: Part | null, route: RouteSoFar, context: FilterContext): RouteAction | null {
  if (part === null) return null;
  const { some, complete } = checkFields(redirectGrammar, part, context);
  const starRight = checkStar(part, route.match, context);
  if (!complete || !starRight || some.status === undefined) return null;
  const { scheme = null, host = null, path = null, status } = some;
  if (scheme !== null || host !== null || path !== null)
    return { kind: "redirect", scheme, host, path, status };
  const message = "cannot redirect to the same place: wanted `path`, `host` or `scheme`";
  context.report.add(spotOf(part), part.path, { message });
  return null;
}

/** A `*` in the new path needs one in the match. */
function checkStar(part: Part, match: RouteMatch | null, context: FilterContext): boolean {
  const path = childOf(part, "path");
  if (path === null || path.node.kind !== "scalar" || match === null) return true;
  // A match for any path has taken all of it.
  if (!String(path.node.value).endsWith("*") || match.path === null || match.path.endsWith("*")) return true;
  context.report.add(spotOf(path), path.path, {
    message: `cannot fill the * of ${quoted(path.node.value)}: the route's match is ${quoted(match.path)}`,
    hints: ["end the path of the match in /*"],
  });
  return false;
}

function readRespond(part: Part | null, context: FilterContext): RouteAction | null {
  if (part === null) return null;
  const { some, complete } = checkFields(respondGrammar, part, context);
  const { status, headers, body } = some;
  if (!complete || status === undefined || headers === undefined || body === undefined) return null;
  const framing = Object.keys(headers).find((name) => framingFields.has(name.toLowerCase()));
  if (framing !== undefined) {
    const place = childOf(childOf(part, "headers")!, framing)!;
    context.report.add(place.key, place.path, {
      message: `cannot set ${framing}: it belongs to the framing of the answer`,
    });
    return null;
  }
  if (body !== "" && (status === 204 || status === 205 || status === 304)) {
    const place = childOf(part, "body")!;
    context.report.add(spotOf(place), place.path, { message: `cannot send a body with status ${status}` });
    return null;
  }
  const action: RouteAction = {
    kind: "respond",
    status,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      (typeof value === "string" ? [value] : value).map((one): [string, string] => [name, one]),
    ),
    body,
  };
  context.shown.set(action, { status, headers: {}, body: "", ...(writtenOf(part.node) as object) });
  return action;
}

function checkNames(drafts: readonly RouteDraft[], context: FilterContext): boolean {
  const first = new Map<string, Part>();
  let right = true;
  for (const { name, part } of drafts) {
    if (name === null) continue;
    const place = childOf(part, "name")!;
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, place);
      continue;
    }
    right = false;
    context.report.add(spotOf(place), place.path, {
      message: `cannot name two routes ${quoted(name)}`,
      hints: [`the first is at ${placeName(earlier.node.range)}`],
    });
  }
  return right;
}

function checkHidden(drafts: readonly RouteDraft[], context: FilterContext): boolean {
  const matches = drafts.map(({ match }) => match);
  const hiding = hidingRoutes(matches);
  for (const [index, by] of hiding) {
    const { part } = drafts[index]!;
    context.report.add(spotOf(part), part.path, {
      message: `cannot ever take a request: ${placeName(drafts[by]!.part.node.range)} takes all of them first`,
      hints: ["remove one of the two, or give this one a more special match"],
    });
  }
  return hiding.size === 0;
}

/**
 * The given names; for the others host and path as the match has them, with the methods in front where several
 * routes share these, and a number behind where that is not enough.
 */
function routeNames(drafts: readonly RouteDraft[], anyHost: string): readonly string[] {
  const patterns = drafts.map(({ match }) => {
    const host = match?.host ?? anyHost;
    return host + (match?.path ?? (host === "" ? "*" : ""));
  });
  const uses = new Map<string, number>();
  for (const [index, pattern] of patterns.entries()) {
    if (drafts[index]!.name === null) uses.set(pattern, (uses.get(pattern) ?? 0) + 1);
  }
  const taken = new Set(drafts.flatMap(({ name }) => name ?? []));
  const counts = new Map<string, number>();
  return drafts.map(({ name, match }, index) => {
    if (name !== null) return name;
    const pattern = patterns[index]!;
    const methods = uses.get(pattern)! > 1 ? (match?.methods ?? []).join(",") : "";
    const base = methods === "" ? pattern : `${methods} ${pattern}`;
    let unique = base;
    let count = counts.get(base) ?? 1;
    while (taken.has(unique)) unique = `${base}#${++count}`;
    counts.set(base, count);
    taken.add(unique);
    return unique;
  });
}
