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

/** As that of any other rules would be, and made once. */
const noRulesTag = textTag(JSON.stringify([null, []]));

export type ServiceRules = Readonly<Record<RulesView, RulesLine>>;

/** `rules` is null when there is no such service. */
export function serviceRules(
  service: string,
  rules: MeshService | null,
  plugins: readonly PluginCode[],
): ServiceRules {
  if (rules === null) return noRules(service);
  const own = rulesLine(service, rules, plugins);
  return { own, caller: rulesLine(service, callersPart(rules), plugins) };
}

/** There may be one for each name that somebody makes up: its line is short, and not kept. */
function noRules(service: string): ServiceRules {
  const line = () => feedLine({ kind: "rules", service, tag: noRulesTag, rules: null, plugins: [] });
  const none = { tag: noRulesTag, line };
  return { own: none, caller: none };
}

function callersPart(rules: MeshService): MeshService {
  if (rules.callee === null) return rules;
  const callee: CalleeRules = { ...rules.callee, inbound: [], others: [], healthCheck: null };
  return { ...rules, callee };
}

function rulesLine(service: string, rules: MeshService, all: readonly PluginCode[]): RulesLine {
  const plugins = namedPlugins(rules, all);
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
