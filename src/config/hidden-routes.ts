/**
 * Routes that no request can reach. A route with another host or path than an earlier winner either wins over it
 * where both match (it is more specific), or matches something that the other does not; so only routes with the same
 * host and path can hide each other.
 */
import type { NamedValueMatch, RouteMatch, ValueMatch } from "../snapshot.ts";

/** Of the routes that could hide one, so many are looked at: more would be quadratic. */
const comparedMax = 200;

/** Index of a hidden route -> index of one that hides it. Unreadable matches (null) neither hide nor are hidden. */
export function hidingRoutes(matches: readonly (RouteMatch | null)[]): ReadonlyMap<number, number> {
  const groups = new Map<string, number[]>();
  for (const [index, match] of matches.entries()) {
    if (match === null) continue;
    const key = `${match.host ?? "*"} ${shapeOf(match.path)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [index]);
    else group.push(index);
  }
  const hidden = new Map<number, number>();
  for (const group of groups.values()) {
    if (group.length === 1) continue;
    const winners = group.toSorted((a, b) => compareMatches(matches[a]!, matches[b]!) || a - b);
    const seen = new Map<string, number[]>();
    for (const index of winners) {
      const match = matches[index]!;
      const candidates = ["", ...exactValues(match)].flatMap((key) => seen.get(key) ?? []);
      const by = candidates.find((other) => covers(matches[other]!, match));
      if (by !== undefined) {
        hidden.set(index, by);
        continue;
      }
      const key = exactValues(match)[0] ?? "";
      const alike = seen.get(key);
      if (alike === undefined) seen.set(key, [index]);
      else if (alike.length < comparedMax) alike.push(index);
    }
  }
  return hidden;
}

/** The exact values that it asks for: a route that hides it asks for none, or for one of these. */
function exactValues({ headers, query }: RouteMatch): string[] {
  const keys = (kind: string, matches: readonly NamedValueMatch[]) =>
    matches.flatMap(({ name, match }) =>
      match.kind === "exact" ? [JSON.stringify([kind, name, match.value])] : [],
    );
  return [...keys("header", headers), ...keys("query", query)];
}

/** The names of parameters do not change what a path takes. */
function shapeOf(path: string | null): string {
  return path === null ? "" : path.replace(/\/:[^/]+/g, "/:");
}

/** Negative when the first wins, for one host and path: a method, more headers, more query fields. */
function compareMatches(a: RouteMatch, b: RouteMatch): number {
  const methods = Number(b.methods.length > 0) - Number(a.methods.length > 0);
  return methods || b.headers.length - a.headers.length || b.query.length - a.query.length;
}

/** Whether everything that `narrow` takes is taken by `wide` too, given the same host and path. */
function covers(wide: RouteMatch, narrow: RouteMatch): boolean {
  const methods =
    wide.methods.length === 0 ||
    (narrow.methods.length > 0 && narrow.methods.every((method) => wide.methods.includes(method)));
  return methods && impliedBy(wide.headers, narrow.headers) && impliedBy(wide.query, narrow.query);
}

/** Whether each wish of the one holds wherever the wishes of the other hold. */
function impliedBy(wishes: readonly NamedValueMatch[], given: readonly NamedValueMatch[]): boolean {
  return wishes.every((wish) =>
    given.some((other) => other.name === wish.name && isWithin(other.match, wish.match)),
  );
}

function isWithin(narrow: ValueMatch, wide: ValueMatch): boolean {
  if (wide.kind === "present") return true;
  if (narrow.kind === "present") return false;
  if (wide.kind === "exact") return narrow.kind === "exact" && narrow.value === wide.value;
  return narrow.value.startsWith(wide.value);
}
