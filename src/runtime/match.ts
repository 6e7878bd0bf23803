/**
 * Which route takes a request, and what its `*` took.
 *
 * The winner: exact host, then the longer `*.` suffix, then any host; within a host the better path (match/paths.ts); of
 * one path a method, more headers, more query fields, the earlier line (match/candidates.ts). When no route of the best
 * path fits by method, headers and query, the next best path is tried, then the next host.
 */
import type { RouteMatch } from "../snapshot.ts";
import type { RequestHead } from "../types.ts";
import { Candidate } from "./match/candidates.ts";
import { createPaths, type Paths } from "./match/paths.ts";
import type { Steps } from "./slices.ts";

export interface Matcher<T> {
  /** The value of the route that takes the request; null when none does. */
  find(head: RequestHead): T | null;
}

export function* createMatcher<T>(
  routes: readonly { readonly match: RouteMatch; readonly value: T }[],
): Steps<Matcher<T>> {
  const hosts = new Map<string | null, Candidate<T>[]>();
  for (const [line, { match, value }] of routes.entries()) {
    const candidate = new Candidate(match, value, line);
    const known = hosts.get(match.host);
    if (known === undefined) hosts.set(match.host, [candidate]);
    else known.push(candidate);
    yield;
  }
  const matcher = new HostMatcher<T>();
  for (const [host, candidates] of hosts) matcher.add(host, yield* createPaths(candidates));
  return matcher;
}

class HostMatcher<T> implements Matcher<T> {
  private readonly exact = new Map<string, Paths<T>>();
  /** By what follows the `*` of `*.shop.example`. */
  private readonly suffixes = new Map<string, Paths<T>>();
  /** Lengths of the suffixes, the longest first: at most as many as a host has characters. */
  private suffixLengths: readonly number[] = [];
  private any: Paths<T> | null = null;

  add(host: string | null, paths: Paths<T>): void {
    if (host === null) this.any = paths;
    else if (host.startsWith("*.")) {
      this.suffixes.set(host.slice(1), paths);
      this.suffixLengths = [...new Set([...this.suffixLengths, host.length - 1])].sort((a, b) => b - a);
    } else this.exact.set(host, paths);
  }

  find(head: RequestHead): T | null {
    const { host } = head;
    if (this.exact.size > 0) {
      const found = this.exact.get(host)?.first(head);
      if (found != null) return found.value;
    }
    for (const length of this.suffixLengths) {
      const start = host.length - length;
      // At least one character of a label has to stand before the suffix.
      if (start < 1 || host.charCodeAt(start) !== 0x2e) continue;
      const found = this.suffixes.get(host.slice(start))?.first(head);
      if (found != null) return found.value;
    }
    return this.any?.first(head)?.value ?? null;
  }
}

/**
 * What the `*` of a match took of a path, with the slash before it: `/b/c` of `/a/b/c` for `/a/*`, and "" of `/a`. A match
 * for any path took all of it, one without `*` nothing.
 */
export function starRemainder(match: RouteMatch, path: string): string {
  if (match.path === null) return path;
  if (!match.path.endsWith("/*")) return "";
  let at = -1;
  for (let slashes = match.path.split("/").length - 1; slashes > 0; slashes -= 1) {
    at = path.indexOf("/", at + 1);
    if (at === -1) return "";
  }
  return path.slice(at);
}

/**
 * The path of a rewrite or redirect, with `remainder` for its `*`. It never begins with two slashes: a client would take
 * `//evil.example` in a Location for another host.
 */
export function rewritePath(template: string, remainder: string): string {
  const star = template.indexOf("*");
  if (star === -1) return template;
  const before = template.slice(0, star);
  // The slash before the `*` comes with the remainder, or not at all.
  const path = before.endsWith("/") ? before.slice(0, -1) + remainder : before + remainder.slice(1);
  return (path + template.slice(star + 1)).replace(/^\/*/, "/");
}
