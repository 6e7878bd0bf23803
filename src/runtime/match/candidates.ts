/** The routes that share one host and one path, the better ones first. */
import type { RouteMatch } from "../../snapshot.ts";
import type { RequestHead } from "../../types.ts";
import { text } from "../http1/characters.ts";
import { isFieldNamed } from "../http1/fields.ts";
import { Conditions } from "./conditions.ts";

export interface Candidates<T> {
  /** The best one whose conditions fit; null when none does. */
  first(head: RequestHead): Candidate<T> | null;
}

/** One route as the matcher keeps it: also the only one of its host and path, as nearly all of many routes are. */
export class Candidate<T> implements Candidates<T> {
  /** Null where host and path are all that it asks for: nothing more is looked at, and fetched into the cache. */
  private readonly conditions: Conditions | null;

  constructor(
    readonly match: RouteMatch,
    readonly value: T,
    /** Its place in the order of the routes. */
    readonly line: number,
  ) {
    const { methods, headers, query } = match;
    const asks = methods.length > 0 || headers.length > 0 || query.length > 0;
    this.conditions = asks ? new Conditions(match) : null;
  }

  first(head: RequestHead): Candidate<T> | null {
    return this.conditions === null || this.conditions.fit(head) ? this : null;
  }
}

/** So few are tried one after another; more are first narrowed down by a header that tells them apart. */
const listLengthMax = 8;

export function createCandidates<T>(candidates: readonly Candidate<T>[]): Candidates<T> {
  if (candidates.length === 1) return candidates[0]!;
  return narrow([...candidates].sort(compare), new Set());
}

/** A method, then more headers, then more query fields, then the earlier line. */
export function compare(a: Candidate<unknown>, b: Candidate<unknown>): number {
  return (
    Number(b.match.methods.length > 0) - Number(a.match.methods.length > 0) ||
    b.match.headers.length - a.match.headers.length ||
    b.match.query.length - a.match.query.length ||
    a.line - b.line
  );
}

/** `sorted` by compare; `used` names the headers by which they were narrowed down already. */
function narrow<T>(sorted: readonly Candidate<T>[], used: ReadonlySet<string>): Candidates<T> {
  const name = sorted.length > listLengthMax ? tellingHeader(sorted, used) : null;
  return name === null ? new List(sorted) : new ByHeader(sorted, name, used);
}

/** The header with the most different exact values, if that is worth an index. */
function tellingHeader(candidates: readonly Candidate<unknown>[], used: ReadonlySet<string>): string | null {
  const values = new Map<string, Set<string>>();
  for (const { match } of candidates) {
    for (const header of match.headers) {
      if (header.match.kind !== "exact" || used.has(header.name)) continue;
      const seen = values.get(header.name);
      if (seen === undefined) values.set(header.name, new Set([header.match.value]));
      else seen.add(header.match.value);
    }
  }
  const [best] = [...values].sort(([, a], [, b]) => b.size - a.size);
  return best !== undefined && best[1].size > listLengthMax ? best[0] : null;
}

class List<T> implements Candidates<T> {
  constructor(private readonly sorted: readonly Candidate<T>[]) {}

  first(head: RequestHead): Candidate<T> | null {
    const { sorted } = this;
    for (let index = 0; index < sorted.length; index += 1) {
      const found = sorted[index]!.first(head);
      if (found !== null) return found;
    }
    return null;
  }
}

class ByHeader<T> implements Candidates<T> {
  private readonly byValue = new Map<string, Candidates<T>>();
  /** Those that do not ask for an exact value of this header. */
  private readonly rest: Candidates<T>;

  constructor(
    sorted: readonly Candidate<T>[],
    private readonly name: string,
    used: ReadonlySet<string>,
  ) {
    const usedNow = new Set([...used, name]);
    const groups = Map.groupBy(sorted, (candidate) => exactValue(candidate.match, name));
    this.rest = narrow(groups.get(null) ?? [], usedNow);
    for (const [value, group] of groups) {
      if (value !== null) this.byValue.set(Buffer.from(value).toString("latin1"), narrow(group, usedNow));
    }
  }

  first(head: RequestHead): Candidate<T> | null {
    const { fields } = head;
    let best = this.rest.first(head);
    for (let index = 0; index < fields.count; index += 1) {
      if (!isFieldNamed(fields, index, this.name)) continue;
      const value = text(fields.bytes, fields.offsets[4 * index + 2]!, fields.offsets[4 * index + 3]!);
      const found = this.byValue.get(value)?.first(head) ?? null;
      if (found !== null && (best === null || compare(found, best) < 0)) best = found;
    }
    return best;
  }
}

function exactValue(match: RouteMatch, name: string): string | null {
  const header = match.headers.find((entry) => entry.name === name && entry.match.kind === "exact");
  return header?.match.kind === "exact" ? header.match.value : null;
}
