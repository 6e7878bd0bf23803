/** What differs between two mesh documents, service by service and key by key, in the document's own grammar. */
import type { CheckedDocument, Difference, DocumentChange, MeshConfig, MeshService } from "../../mesh.ts";
import { type Path, pathName } from "../problem.ts";

type Compared = Pick<CheckedDocument, "config" | "resolved">;
type Fields = Readonly<Record<string, unknown>>;

/** `before` is null where nothing was applied yet. */
export function difference(before: Compared | null, after: Compared): Difference {
  const { services: old = {}, ...oldRest } = before?.resolved ?? {};
  const { services: now = {}, ...nowRest } = after.resolved;
  const [oldServices, nowServices] = [old as Fields, now as Fields];
  const names = [...new Set([...Object.keys(nowServices), ...Object.keys(oldServices)])];
  const rules = [rulesByName(before?.config), rulesByName(after.config)] as const;
  const general = changesIn(null, oldRest, nowRest);
  const changes = [
    ...general,
    ...names.flatMap((name) => {
      const pair = [own(oldServices, name), own(nowServices, name)] as const;
      const seen = changesIn(name, ...pair);
      const isThere = pair.every((one) => one !== undefined);
      // A default that is another one changes services without a word in them.
      return seen.length === 0 && isThere && general.length === 0 ? unseen(name, rules) : seen;
    }),
    ...codeChanges(before?.config.plugins ?? [], after.config.plugins),
  ];
  return { changes };
}

function changesIn(service: string | null, before: unknown, after: unknown): DocumentChange[] {
  return differing({ before, after, path: [] }).map(({ before: old, after: now, path, note = null }) => ({
    service,
    key: pathName(path),
    kind: old === undefined ? "added" : now === undefined ? "removed" : "changed",
    before: old ?? null,
    after: now ?? null,
    note,
  }));
}

/** Undefined for what is not there. */
interface Pair {
  readonly before: unknown;
  readonly after: unknown;
  readonly path: Path;
  readonly note?: string;
}

/** The smallest parts that differ. */
function differing(pair: Pair): Pair[] {
  const { before, after, path } = pair;
  if (same(before, after)) return [];
  if (isMap(before) && isMap(after)) {
    const names = [...new Set([...Object.keys(after), ...Object.keys(before)])];
    return names.flatMap((name) =>
      differing({ before: own(before, name), after: own(after, name), path: [...path, name] }),
    );
  }
  if (!Array.isArray(before) || !Array.isArray(after)) return [pair];
  const [old, now] = [named(before), named(after)];
  if (old !== null && now !== null) return differingNamed(old, now, path);
  if (before.length === after.length) {
    if (same(sorted(before), sorted(after))) return [{ ...pair, note: "the same in another order" }];
    return after.flatMap((item, index) =>
      differing({ before: before[index], after: item, path: [...path, index] }),
    );
  }
  return [
    ...without(before, after).map((item) => ({ before: item, after: undefined, path })),
    ...without(after, before).map((item) => ({ before: undefined, after: item, path })),
  ];
}

/** Entries with names, such as routes, are the same one wherever they stand; their order may still mean something. */
function differingNamed(old: Fields, now: Fields, path: Path): Pair[] {
  const inside = differing({ before: old, after: now, path });
  const [before, after] = [Object.keys(old), Object.keys(now)];
  const kept = (names: readonly string[], others: Fields) => names.filter((name) => name in others);
  if (same(kept(before, now), kept(after, old))) return inside;
  return [...inside, { before, after, path, note: "in another order" }];
}

/** By name, where every entry has one of its own. */
function named(list: readonly unknown[]): Fields | null {
  const names = list.map((item) => (isMap(item) && typeof item.name === "string" ? item.name : null));
  if (names.length === 0 || names.includes(null) || new Set(names).size < names.length) return null;
  // One that looks like a number would move to the front.
  if (names.some((name) => /^\d+$/.test(name!))) return null;
  return Object.fromEntries(list.map((item, index) => [names[index], item]));
}

/** Each of `list` that `others` has fewer of. */
function without(list: readonly unknown[], others: readonly unknown[]): unknown[] {
  const left = others.map(text);
  return list.filter((item) => {
    const index = left.indexOf(text(item));
    if (index < 0) return true;
    left.splice(index, 1);
    return false;
  });
}

/** What must not be shown is another one: a secret, or what stands in a file that the document names. */
function unseen(name: string, [old, now]: readonly [RulesByName, RulesByName]): DocumentChange[] {
  if (sameRules(old.get(name), now.get(name))) return [];
  const note = "a secret, or a file that it names, is another one";
  return [{ service: name, key: "", kind: "changed", before: null, after: null, note }];
}

type RulesByName = ReadonlyMap<string, MeshService>;

function rulesByName(config: MeshConfig | undefined): RulesByName {
  return new Map((config?.services ?? []).map((service) => [service.name, service]));
}

/** Without places: a line more above changes nothing. */
function sameRules(old: MeshService | undefined, now: MeshService | undefined): boolean {
  const plain = (rules: MeshService | undefined) => JSON.stringify(rules ?? null, withoutPlace);
  return JSON.stringify(old) === JSON.stringify(now) || same(JSON.parse(plain(old)), JSON.parse(plain(now)));
}

function withoutPlace(key: string, value: unknown): unknown {
  const isPlace = key === "place" && isMap(value) && same(Object.keys(value).sort(), ["file", "line"]);
  return isPlace ? undefined : value;
}

function codeChanges(before: MeshConfig["plugins"], after: MeshConfig["plugins"]): DocumentChange[] {
  const versions = (list: MeshConfig["plugins"]) =>
    Object.fromEntries(list.map(({ name, version }) => [name, version]));
  return changesIn(null, versions(before), versions(after)).map((change) => ({
    ...change,
    key: change.key.replace(/^\["(.*)"\]$/, "$1"),
    note: "the code of a filter",
  }));
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The order of keys says nothing; that of entries does. */
function same(one: unknown, other: unknown): boolean {
  // Most are, and then their keys stand in the same order too.
  return JSON.stringify(one) === JSON.stringify(other) || text(one) === text(other);
}

function sorted(list: readonly unknown[]): readonly string[] {
  return list.map(text).sort();
}

function text(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      isMap(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? "nothing"
  );
}
