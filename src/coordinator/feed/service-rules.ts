/** What the mesh document says of one service, as its own nodes and as its callers get it. */
import type { PluginCode } from "../../filter-lookup.ts";
import type { CalleeRules, MeshService } from "../../mesh.ts";
import { textTag } from "../registry/content-tag.ts";
import { feedLine } from "./feed-line.ts";

/** Its own nodes need all; callers need not know whom it lets in, nor the secrets of its inbound filters. */
export type RulesView = "own" | "caller";

export interface RulesLine {
  /** Lines of the document that only moved make no other tag. */
  readonly tag: string;
  line(): Buffer;
}

export type ServiceRules = Readonly<Record<RulesView, RulesLine>>;

/** `rules` is null when there is no such service. */
export function serviceRules(
  service: string,
  rules: MeshService | null,
  plugins: readonly PluginCode[],
): ServiceRules {
  const own = rulesLine(service, rules, plugins);
  if (rules === null) return { own, caller: own };
  return { own, caller: rulesLine(service, callersPart(rules), plugins) };
}

function callersPart(rules: MeshService): MeshService {
  if (rules.callee === null) return rules;
  const callee: CalleeRules = { ...rules.callee, inbound: [], others: [], healthCheck: null };
  return { ...rules, callee };
}

function rulesLine(service: string, rules: MeshService | null, all: readonly PluginCode[]): RulesLine {
  const plugins = rules === null ? [] : namedPlugins(rules, all);
  const versions = plugins.map(({ name, version }) => [name, version]);
  const tag = textTag(JSON.stringify([withoutPlaces(rules), versions]));
  let made: Buffer | null = null;
  return {
    tag,
    line() {
      made ??= feedLine({ kind: "rules", service, tag, rules, plugins });
      return made;
    },
  };
}

function namedPlugins({ caller, callee }: MeshService, all: readonly PluginCode[]): readonly PluginCode[] {
  const entries = [...caller.routes.flatMap(({ filters }) => filters), ...(callee?.inbound ?? [])];
  const names = new Set(entries.map(({ name }) => name));
  return all.filter(({ name }) => names.has(name));
}

/** A copy. The options of filters are their own business, whatever their keys are called. */
function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPlaces);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== "place");
  return Object.fromEntries(kept.map(([key, of]) => [key, key === "options" ? of : withoutPlaces(of)]));
}
