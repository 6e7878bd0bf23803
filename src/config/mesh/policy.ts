/** Who may call a service: `allow` and `audit`, as the options of the filter that judges. */
import type { z } from "zod";
import type { FilterEntry } from "../../snapshot.ts";
import { check, checkList } from "../check.ts";
import type { FilterContext } from "../filter-list.ts";
import { reportUnknownService } from "../filter-list.ts";
import { meshServiceName } from "../grammar/values.ts";
import { childOf, childrenOf, isNothing, type Part, plainOf, spotOf } from "../located.ts";
import { lineOf } from "../source.ts";
import { ruleGrammar, rulesMax } from "./grammar.ts";

export const policyName = "policy";
export interface PolicyContext extends Pick<FilterContext, "report" | "services"> {
  readonly trustDomain: string;
  /** Services that no node of the mesh stands beside: they call nobody, as far as the mesh sees. */
  readonly outside: ReadonlySet<string>;
  /** For services without `allow`. */
  readonly defaultPolicy: "deny" | "allow";
}

type Rule = z.input<typeof ruleGrammar>;

export interface ReadPolicy {
  readonly entry: FilterEntry;
  /** As written; absent where it was not. */
  readonly resolved: { readonly allow?: readonly Rule[]; readonly audit?: readonly Rule[] };
}

/** Null when anything in it is wrong. */
export function readPolicy(service: Part, context: PolicyContext): ReadPolicy | null {
  const allow = readRules(childOf(service, "allow"), context);
  const audit = readRules(childOf(service, "audit"), context);
  if (allow === null || audit === null) return null;
  const { trustDomain, defaultPolicy } = context;
  const written = childOf(service, "allow") ?? childOf(service, "audit") ?? service;
  const options = {
    trustDomain,
    default: allow === "absent" ? defaultPolicy : "deny",
    allow: allow === "absent" ? [] : allow,
    audit: audit === "absent" ? [] : audit,
  };
  const place = { file: written.key.file.name, line: lineOf(written.key) };
  const resolved = {
    ...(allow === "absent" ? {} : { allow }),
    ...(audit === "absent" ? {} : { audit }),
  };
  return { entry: { name: policyName, id: null, onError: "fail", options, place }, resolved };
}

function readRules(list: Part | null, context: PolicyContext): readonly Rule[] | "absent" | null {
  if (list === null) return "absent";
  const { report } = context;
  // What stands behind it decides who may call: a key with nothing behind it says too little.
  if (isNothing(list)) {
    const message = `cannot read nothing: wanted a list of rules, [] for nobody`;
    report.add(list.key, list.path, { message });
    return null;
  }
  const parts = checkList(list, { wanted: "a list of rules", entriesMax: rulesMax, report });
  if (parts === null) return null;
  const rules = parts.map((part) => readRule(part, context));
  return rules.every((rule) => rule !== null) ? rules : null;
}

function readRule(part: Part, context: PolicyContext): Rule | null {
  const { report, services } = context;
  const checked = check(ruleGrammar, part, report);
  const from = childOf(part, "from");
  const callers = from === null ? [] : [from, ...childrenOf(from).map(([, child]) => child)];
  const unknown = callers.filter((caller) => services !== null && isUnknown(caller, services));
  for (const caller of unknown) {
    const name = String(plainOf(caller.node));
    reportUnknownService(name, { ...caller, key: spotOf(caller) }, { report, services: services! });
  }
  const outside = callers.filter(
    ({ node }) => node.kind === "scalar" && context.outside.has(String(node.value)),
  );
  for (const caller of outside) {
    const message = `cannot let "${plainOf(caller.node)}" call: it is outside the mesh, and has no identity to prove`;
    report.add(spotOf(caller), caller.path, {
      message,
      hints: ["callers without an identity are `anonymous`"],
    });
  }
  return checked.ok && unknown.length + outside.length === 0 ? (plainOf(part.node) as Rule) : null;
}

/** Of what can be no name of a service, the grammar says so. */
function isUnknown({ node }: Part, services: ReadonlySet<string>): boolean {
  if (node.kind !== "scalar" || !meshServiceName.safeParse(node.value).success) return false;
  return !services.has(String(node.value));
}
