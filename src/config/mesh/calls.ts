/** What may be said of all calls to a service, and of those of one route: split, fault, mirror, retry, filters. */
import type { FilterEntry, ForwardTarget } from "../../snapshot.ts";
import { check } from "../check.ts";
import { type FilterContext, rankOfName, readFilterOf, readFilters } from "../filter-list.ts";
import { childOf, childrenOf, type Part, spotOf } from "../located.ts";
import { placeName } from "../source.ts";
import { type FilterKey, filterKeys, meshServiceGrammar } from "./grammar.ts";

export interface Calls {
  /** Null for all instances alike. */
  readonly split: readonly ForwardTarget[] | null;
  readonly own: Readonly<Record<FilterKey, FilterEntry | null>>;
  /** Those of the list, the service's in front of a route's. */
  readonly filters: readonly FilterEntry[];
}

/** In the order in which they run, where they run beside each other. */
export const callKeys = Object.keys(filterKeys) as FilterKey[];

export interface CallsPlace {
  readonly service: string;
  /** The key of the list of filters. */
  readonly list: "outbound" | "filters";
  /** Of the service, for a route. */
  readonly outer: { readonly part: Part; readonly calls: Calls } | null;
}

/** Null when anything in it is wrong. */
export function readCalls(part: Part, place: CallsPlace, context: FilterContext): Calls | null {
  const { outer } = place;
  const split = readSplit(childOf(part, "split"), place.service, context);
  const entries = callKeys.map((key) => {
    const options = childOf(part, key);
    return [key, options === null ? null : (readFilterOf(key, options, context) ?? "wrong")] as const;
  });
  const filters = readFilters(childOf(part, place.list), "route", context);
  const twice = callKeys.filter((key) => isTwice(key, { ...place, part }, context));
  if (split === "wrong" || filters === null || twice.length > 0) return null;
  const own = { ...outer?.calls.own } as Record<FilterKey, FilterEntry | null>;
  for (const [key, entry] of entries) {
    if (entry === "wrong") return null;
    own[key] = entry ?? own[key] ?? null;
  }
  return {
    split: split ?? outer?.calls.split ?? null,
    own,
    filters: [...(outer?.calls.filters ?? []), ...filters],
  };
}

/** All filters of these calls: around the request, around the call, then what repeats it. */
export function composed({ own, filters }: Calls, context: FilterContext): readonly FilterEntry[] {
  const { fault, mirror, retry } = own;
  const all = [fault, mirror, ...filters, retry].filter((entry) => entry !== null);
  const rank = (entry: FilterEntry) => rankOfName(entry.name, context);
  return all.toSorted((one, other) => rank(one) - rank(other));
}

/** Null without one. */
function readSplit(
  part: Part | null,
  service: string,
  { report }: FilterContext,
): readonly ForwardTarget[] | null | "wrong" {
  if (part === null) return null;
  const checked = check(meshServiceGrammar.shape.split, part, report);
  if (!checked.ok || checked.value === undefined) return "wrong";
  const targets = Object.entries(checked.value).map(([version, weight]) => ({ service, version, weight }));
  if (targets.some(({ weight }) => weight > 0)) return targets;
  const message = "cannot share requests by these weights: wanted at least one above 0";
  report.add(spotOf(part), part.path, { message });
  return "wrong";
}

/** A filter of such a name is a key or stands in the list, not both. */
function isTwice(
  key: FilterKey,
  { part, list, outer: outside }: CallsPlace & { readonly part: Part },
  { report }: FilterContext,
): boolean {
  const keyHere = childOf(part, key);
  const listedHere = entryNamed(key, childOf(part, list));
  const outer = outside?.part ?? null;
  const keyThere = outer === null ? null : childOf(outer, key);
  const listedThere = outer === null ? null : entryNamed(key, childOf(outer, "outbound"));
  const [wrong, other] = keyHere !== null ? [keyHere, listedHere ?? listedThere] : [listedHere, keyThere];
  if (wrong === null || other === null) return false;
  const message = `cannot use ${key} twice: wanted it either as the key \`${key}\` or in the list of filters`;
  report.add(wrong.key, wrong.path, { message, hints: [`the other one is at ${placeName(other.key)}`] });
  return true;
}

function entryNamed(name: string, list: Part | null): Part | null {
  const entries = list === null ? [] : childrenOf(list).map(([, entry]) => entry);
  const found = entries.find(
    ({ node }) =>
      (node.kind === "scalar" && node.value === name) || (node.kind === "map" && node.entries.has(name)),
  );
  return found ?? null;
}
