/** The rules of a policy, by the callers that they are about: a request looks at its own caller's alone. */
import { identityText, pathMatcher } from "../../plugin.ts";

export interface RuleOptions {
  readonly from: string | readonly string[];
  readonly method?: string | readonly string[] | undefined;
  /** Null for any. */
  readonly path?: string | null | undefined;
}

export interface PolicyOptions {
  readonly allow: readonly RuleOptions[];
  readonly audit: readonly RuleOptions[];
  readonly default: "deny" | "allow";
  readonly trustDomain?: string | undefined;
}

export interface Judgement {
  readonly verdict: "allowed" | "audited" | "denied";
  /** What the log calls the rule: of a denial, one that is about this caller and takes other requests; null without one. */
  readonly rule: string | null;
}

const ALLOWED: Judgement = { verdict: "allowed", rule: null };

/** Stand for whom no rule names. */
const everybody = "*";
const nobody = "anonymous";

export class PolicyRules {
  /** By identity, of all that a rule names. */
  readonly #named = new Map<string | null, CallerRules>();
  readonly #proved: CallerRules;

  constructor({ allow, audit, default: otherwise, trustDomain = "" }: PolicyOptions) {
    const allowing = byCaller(allow.map((rule, index) => new Rule(`allow[${index}]`, rule, trustDomain)));
    const auditing = byCaller(audit.map((rule, index) => new Rule(`audit[${index}]`, rule, trustDomain)));
    const of = (...names: readonly string[]) => {
      const about = (rules: ReadonlyMap<string, readonly Rule[]>) =>
        names.flatMap((name) => rules.get(name) ?? []);
      return new CallerRules(about(allowing), about(auditing), otherwise);
    };
    this.#proved = of(everybody);
    for (const name of [...allowing.keys(), ...auditing.keys()]) {
      if (name !== everybody && name !== nobody) this.#named.set(name, of(name, everybody));
    }
    this.#named.set(null, of(nobody));
  }

  /** `identity`: null for a caller that proved none. */
  callerOf(identity: string | null): CallerRules {
    return this.#named.get(identity) ?? this.#proved;
  }
}

export class CallerRules {
  /** `always`: whatever is asked for. */
  readonly passes: "always" | "sometimes";

  constructor(
    readonly allow: readonly Rule[],
    readonly audit: readonly Rule[],
    readonly otherwise: PolicyOptions["default"],
  ) {
    this.passes = otherwise === "allow" || allow.some(({ isForAll }) => isForAll) ? "always" : "sometimes";
  }

  judge(method: string, path: string): Judgement {
    if (this.passes === "always") return ALLOWED;
    for (const rule of this.allow) if (rule.takes(method, path)) return ALLOWED;
    for (const rule of this.audit)
      if (rule.takes(method, path)) return { verdict: "audited", rule: rule.name };
    return { verdict: "denied", rule: this.allow[0]?.name ?? null };
  }
}

class Rule {
  /** Identities, `*` and `anonymous`. */
  readonly from: ReadonlySet<string>;
  /** Whatever the method and the path. */
  readonly isForAll: boolean;
  /** Null for any. */
  readonly #methods: ReadonlySet<string> | null;
  readonly #takesPath: (path: string) => boolean;

  constructor(
    readonly name: string,
    { from, method, path = null }: RuleOptions,
    trustDomain: string,
  ) {
    this.from = new Set([from].flat().map((caller) => identityOf(caller, trustDomain)));
    this.#methods = method === undefined ? null : new Set([method].flat());
    this.#takesPath = pathMatcher(path);
    this.isForAll = method === undefined && path === null;
  }

  takes(method: string, path: string): boolean {
    return (this.#methods === null || this.#methods.has(method)) && this.#takesPath(path);
  }
}

function byCaller(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const found = new Map<string, Rule[]>();
  for (const rule of rules) {
    for (const name of rule.from) {
      const known = found.get(name);
      if (known === undefined) found.set(name, [rule]);
      else known.push(rule);
    }
  }
  return found;
}

function identityOf(caller: string, trustDomain: string): string {
  if (caller === everybody || caller === nobody || caller.startsWith("spiffe://")) return caller;
  return identityText({ trustDomain, service: caller });
}
