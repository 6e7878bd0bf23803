/**
 * Which rules hold for a node's requests: the newest that it can use. While it refuses the newest, the former ones hold,
 * all of them together; where services are, and who is no longer one of the mesh, is always the newest.
 */
import type { Problem } from "../../snapshot.ts";
import type { Log } from "../../types.ts";
import { type KnownRules, type MeshKnowledge, ownValue, type ServiceKnowledge } from "./mesh-view.ts";
import type { RulesTrial } from "./rules-trial.ts";

/** What a snapshot is made of. */
export interface SettledRules {
  /** With the rules that hold; its version is theirs. */
  readonly knowledge: MeshKnowledge | null;
  /** Services without any rules that this node can use, and why not. */
  readonly refused: ReadonlyMap<string, string>;
}

interface Settled extends SettledRules {
  readonly newest: MeshKnowledge;
  readonly problems: readonly Problem[];
}

export class RulesSettler {
  readonly #trial: Pick<RulesTrial, "problems">;
  readonly #log: Log;
  /** What serves, or served in the node's last run. */
  #former: MeshKnowledge | null;
  #settled: Settled | null = null;
  #said = "";

  constructor(trial: Pick<RulesTrial, "problems">, log: Log, kept: MeshKnowledge | null) {
    this.#trial = trial;
    this.#log = log;
    this.#former = kept;
  }

  /** What was kept is of another mesh. */
  forget(): void {
    this.#former = null;
  }

  /** Of the newest rules; empty while they hold. */
  get problems(): readonly Problem[] {
    return this.#settled?.problems ?? [];
  }

  /** Null while the newest rules hold. */
  get warning(): string | null {
    if (this.#settled === null || this.#settled.problems.length === 0) return null;
    const { newest, knowledge, problems } = this.#settled;
    const [first] = problems;
    const holds = knowledge!.version < newest.version ? `; version ${knowledge!.version} holds` : "";
    return `this node refuses version ${newest.version} of the mesh document: ${first!.message}${holds}`;
  }

  /** Tries what it did not try before: that takes a while. */
  async settle(newest: MeshKnowledge | null): Promise<SettledRules> {
    if (newest === null) return { knowledge: null, refused: new Map() };
    const wrong = await this.#trial.problems(rulesIn(newest));
    if (wrong.size === 0) {
      this.#settled = { knowledge: newest, refused: new Map(), newest, problems: [] };
    } else {
      const former = this.#former;
      const formerWrong = former === null ? new Map() : await this.#trial.problems(rulesIn(former));
      const chosen = chooseRules(newest, { wrong, former, formerWrong });
      this.#settled = { ...chosen, newest, problems: [...wrong.values()].flat() };
    }
    this.#say();
    return this.#settled;
  }

  /** What was settled last is live. */
  served(): void {
    if (this.#settled !== null) this.#former = this.#settled.knowledge;
  }

  /** What can be kept for the next run: rules that served, and where services are now. */
  keepable(newest: MeshKnowledge | null): MeshKnowledge | null {
    const former = this.#former;
    if (former === null || newest === null) return former;
    const services = Object.entries(former.services).map(([name, known]): [string, ServiceKnowledge] => [
      name,
      { ...known, instances: ownValue(newest.services, name)?.instances ?? known.instances },
    ]);
    return { version: former.version, mesh: newest.mesh, services: Object.fromEntries(services) };
  }

  /** Services that the rules that hold are of. */
  get held(): MeshKnowledge | null {
    return this.#former;
  }

  #say(): void {
    const { problems, newest } = this.#settled!;
    const said = JSON.stringify(problems);
    if (said === this.#said || (this.#said === "" && problems.length === 0)) return;
    this.#said = problems.length === 0 ? "" : said;
    const version = newest.version;
    if (problems.length === 0) {
      this.#log.info("the rules of the mesh document are used again", { version });
      return;
    }
    for (const { message, file, line } of problems) {
      const fields = { version, place: `${file}:${line}`, problem: message };
      this.#log.error("the mesh document's rules are refused by this node: the former ones hold", fields);
    }
  }
}

interface Choice {
  /** By service what is wrong with its newest rules. */
  readonly wrong: ReadonlyMap<string, readonly Problem[]>;
  readonly former: MeshKnowledge | null;
  readonly formerWrong: ReadonlyMap<string, readonly Problem[]>;
}

function chooseRules(newest: MeshKnowledge, { wrong, former, formerWrong }: Choice): SettledRules {
  const refused = new Map<string, string>();
  /** One name stands for one version of some code in a worker. */
  const versions = new Map<string, string>();
  const holding = (name: string): KnownRules | null => {
    const rules = formerWrong.has(name) ? null : (ownValue(former?.services, name)?.rules ?? null);
    for (const plugin of rules?.plugins ?? []) versions.set(plugin.name, plugin.version);
    return rules;
  };
  const services = Object.entries(newest.services).map(([name, known]) => ({
    ...{ name, known },
    rules: holding(name),
  }));
  const chosen = services.map(({ name, known, rules }): [string, ServiceKnowledge] => {
    if (rules !== null || known.rules === null) return [name, { ...known, rules }];
    const other = known.rules.plugins.find((plugin) => clashes(plugin, versions));
    const why = wrong.get(name)?.[0]?.message;
    if (why === undefined && other === undefined) return [name, known];
    refused.set(name, why ?? `another version of ${other!.name} holds here`);
    return [name, { ...known, rules: { ...known.rules, service: null, plugins: [] } }];
  });
  const version = former?.version ?? 0;
  return { knowledge: { version, mesh: newest.mesh, services: Object.fromEntries(chosen) }, refused };
}

function clashes(
  { name, version }: { readonly name: string; readonly version: string },
  versions: ReadonlyMap<string, string>,
): boolean {
  const held = versions.get(name);
  return held !== undefined && held !== version;
}

function rulesIn({ services }: MeshKnowledge): ReadonlyMap<string, KnownRules> {
  const all = Object.entries(services).map(([name, { rules }]) => [name, rules] as const);
  return new Map(all.filter((entry): entry is readonly [string, KnownRules] => entry[1] !== null));
}
