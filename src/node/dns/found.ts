/** What was found under names, and how several findings become one. */

export type Found<Item> = Something<Item> | Nothing;

export interface Something<Item> {
  readonly kind: "found";
  readonly items: readonly Item[];
  /** Why not all of it is as new as it should be. */
  readonly stale: string | null;
  /** By the clock; then it is to be looked up again. */
  readonly freshUntilMs: number;
}

/** Either somebody who knows said that there is nothing, or nobody could say. */
export interface Nothing {
  readonly kind: "nothing" | "failed";
  readonly why: string;
  readonly freshUntilMs: number;
}

/** Reasons that are said of one finding. */
const REASONS_MAX = 3;

export function mapItems<From, To>(found: Found<From>, change: (item: From) => To): Found<To> {
  return found.kind === "found" ? { ...found, items: found.items.map(change) } : found;
}

/** All items of all; without any, a failure counts more than a "nothing", for it may hide something. */
export function combined<Item>(parts: readonly Found<Item>[]): Found<Item> {
  const found = parts.filter((part) => part.kind === "found");
  const without = parts.filter((part) => part.kind !== "found");
  const failed = without.filter((part) => part.kind === "failed");
  const freshUntilMs = Math.min(...parts.map((part) => part.freshUntilMs));
  if (found.length > 0) {
    const reasons = [...found.map(({ stale }) => stale), ...failed.map(({ why }) => why)];
    const stale = reasons.find((why) => why !== null) ?? null;
    return { kind: "found", items: found.flatMap(({ items }) => items), stale, freshUntilMs };
  }
  const kind = failed.length > 0 ? "failed" : "nothing";
  const whys = new Set((failed.length > 0 ? failed : without).map(({ why }) => why));
  return { kind, why: [...whys].slice(0, REASONS_MAX).join(" and "), freshUntilMs };
}
