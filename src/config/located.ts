/** Plain data in which every value knows where it was written. */
import type { Path } from "./problem.ts";
import type { Range } from "./source.ts";

export type Plain = string | number | boolean | null;

export interface LocatedScalar {
  readonly kind: "scalar";
  readonly range: Range;
  /** After the environment and secrets were read. */
  value: Plain;
  /** As written when `value` was read from elsewhere, and must not be shown; else null. */
  written: string | null;
  /** Text from the environment may also stand for a number or a boolean. */
  origin: "text" | "environment" | "secret";
}

export interface LocatedEntry {
  readonly key: Range;
  readonly node: Located;
}

export interface LocatedMap {
  readonly kind: "map";
  readonly range: Range;
  readonly entries: ReadonlyMap<string, LocatedEntry>;
}

export interface LocatedList {
  readonly kind: "list";
  readonly range: Range;
  readonly items: readonly Located[];
}

/** What could not be read, and was reported already; nothing more is said about it. */
export interface LocatedGap {
  readonly kind: "gap";
  readonly range: Range;
}

export type Located = LocatedScalar | LocatedMap | LocatedList | LocatedGap;

/** A part of the config: its data, where it stands, and what it is called there. */
export interface Part {
  readonly node: Located;
  readonly path: Path;
  /** Its key, or the value itself where there is no key. */
  readonly key: Range;
}

/** The data without the places; gaps become undefined. */
export function plainOf(node: Located): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(plainOf);
    case "map": {
      const data: Record<string, unknown> = {};
      for (const [key, entry] of node.entries) data[key] = plainOf(entry.node);
      return data;
    }
    case "gap":
      return undefined;
  }
}

/** The data as it was written, so that what came from a secret does not show. */
export function writtenOf(node: Located): unknown {
  switch (node.kind) {
    case "scalar":
      return node.origin === "secret" ? node.written : node.value;
    case "list":
      return node.items.map(writtenOf);
    case "map":
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, writtenOf(entry.node)]));
    case "gap":
      return undefined;
  }
}

/** Why a problem does not quote the value. */
export function hiddenHints({ origin }: LocatedScalar): string[] {
  return origin === "environment" ? ["its value comes from the environment, and is not shown"] : [];
}

/** The part under one key of a map or at one index of a list; null when there is none. */
export function childOf(part: Part, step: string | number): Part | null {
  const { node } = part;
  if (node.kind === "map") {
    const entry = node.entries.get(String(step));
    return entry === undefined ? null : { node: entry.node, path: [...part.path, step], key: entry.key };
  }
  const item = node.kind === "list" ? node.items[Number(step)] : undefined;
  return item === undefined ? null : { node: item, path: [...part.path, step], key: item.range };
}

/** Every entry of a map, or nothing when it is none. */
export function childrenOf(part: Part): [name: string, child: Part][] {
  const { node, path } = part;
  if (node.kind === "map") {
    return [...node.entries].map(([name, entry]) => [
      name,
      { node: entry.node, path: [...path, name], key: entry.key },
    ]);
  }
  if (node.kind !== "list") return [];
  return node.items.map((item, index) => [
    String(index),
    { node: item, path: [...path, index], key: item.range },
  ]);
}

/** Where to point: at the value, or at its key when nothing was written as the value. */
export function spotOf(part: Part): Range {
  return part.node.range.end > part.node.range.start ? part.node.range : part.key;
}

/** A key with nothing behind it. */
export function isNothing({ node }: Part): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** A part of which only the key was written. */
export function nothingBehind(part: Part): Part {
  return { ...part, node: { kind: "scalar", range: part.key, value: null, written: null, origin: "text" } };
}

/** A map that was not written, so that its defaults are read like written ones. */
export function emptyPart(part: Part): Part {
  return { ...part, node: { kind: "map", range: part.key, entries: new Map() } };
}
