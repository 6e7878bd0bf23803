/**
 * What a node knows of its mesh: the feed's messages put together. Nothing of what a feed says holds before its `live`,
 * so that a connection that breaks in the middle leaves no half of a change behind.
 */
import type { PluginCode } from "../../filter-lookup.ts";
import type { FeedMessage, FeedRequest, Instance, MeshConfig, MeshService } from "../../mesh.ts";

/** Plain data, complete, as it is kept on disk. */
export interface MeshKnowledge {
  /** Of the mesh document. */
  readonly version: number;
  readonly mesh: MeshFacts;
  readonly services: Readonly<Record<string, ServiceKnowledge>>;
}

export interface MeshFacts {
  readonly trustDomain: string;
  readonly egress: MeshConfig["egress"];
  readonly removed: readonly string[];
  readonly roots: string;
}

export interface ServiceKnowledge {
  readonly rules: KnownRules | null;
  readonly instances: KnownInstances | null;
}

export interface KnownRules {
  readonly tag: string;
  /** Null when there is no such service. */
  readonly service: MeshService | null;
  readonly plugins: readonly PluginCode[];
}

export interface KnownInstances {
  readonly tag: string;
  /** By id. */
  readonly list: readonly Instance[];
}

/** What a `live` changed. */
export interface MeshChange {
  /** Something that a snapshot is made of. */
  readonly rules: "changed" | "same";
  /** Services whose instances are other ones than before. */
  readonly instances: readonly string[];
}

/** A feed that says what makes no sense: its connection is to be made anew, from what is known. */
export class FeedFault extends Error {
  override readonly name = "FeedFault";
}

const nothing: ServiceKnowledge = { rules: null, instances: null };
/** Instances of one service; a coordinator registers no more. */
export const instancesMax = 100_000;

export class MeshView {
  #knowledge: MeshKnowledge | null;
  #mesh: MeshFacts | null = null;
  /** What came since the last `live`, by service. */
  #draft = new Map<string, ServiceKnowledge>();

  /** `kept`: what a former process knew. */
  constructor(kept: MeshKnowledge | null = null) {
    this.#knowledge = kept;
  }

  /** Null before the first `live`. */
  get knowledge(): MeshKnowledge | null {
    return this.#knowledge;
  }

  /** Null for what nothing is known of. */
  service(name: string): ServiceKnowledge | null {
    return ownValue(this.#knowledge?.services, name);
  }

  /** For a new connection: what came since the last `live` is forgotten, and what is known need not be sent again. */
  reconnecting(services: readonly string[]): FeedRequest["known"] {
    this.#mesh = null;
    this.#draft.clear();
    const tags = services.flatMap((name) => {
      const known = this.service(name);
      if (known?.rules == null || known.instances === null) return [];
      return [[name, { rules: known.rules.tag, instances: known.instances.tag }] as const];
    });
    return Object.fromEntries(tags);
  }

  /** What was kept is of another mesh. */
  forget(): void {
    this.#knowledge = null;
  }

  /** Services that this node does not use any more are forgotten. */
  keepOnly(services: readonly string[]): void {
    if (this.#knowledge === null) return;
    const kept = services.flatMap((name) => {
      const known = this.service(name);
      return known === null ? [] : [[name, known] as const];
    });
    this.#knowledge = { ...this.#knowledge, services: Object.fromEntries(kept) };
  }

  /** What changed, at a `live`; else null. Throws a FeedFault. */
  take(message: FeedMessage): MeshChange | null {
    if (message.kind === "mesh") {
      const { kind: _, ...facts } = message;
      this.#mesh = facts;
    } else if (message.kind === "rules") {
      const { service, tag, rules, plugins } = message;
      this.#put(service, { rules: { tag, service: rules, plugins } });
    } else if (message.kind === "instances") {
      const { service, tag, instances } = message;
      this.#put(service, { instances: { tag, list: sorted(instances) } });
    } else if (message.kind === "changed") this.#putChanged(message);
    else if (message.kind === "live") return this.#live(message.version);
    return null;
  }

  #put(service: string, part: Partial<ServiceKnowledge>): void {
    this.#draft.set(service, { ...this.#drafted(service), ...part });
  }

  #drafted(service: string): ServiceKnowledge {
    return this.#draft.get(service) ?? this.service(service) ?? nothing;
  }

  #putChanged({ service, tag, put, gone }: FeedMessage & { readonly kind: "changed" }): void {
    const before = this.#drafted(service).instances;
    if (before === null)
      throw new FeedFault(`it says what changed in ${service}, of which it never said all`);
    const left = new Map(before.list.map((instance) => [instance.id, instance]));
    for (const id of gone) left.delete(id);
    for (const instance of put) left.set(instance.id, instance);
    this.#put(service, { instances: { tag, list: sorted([...left.values()]) } });
  }

  #live(version: number): MeshChange {
    const before = this.#knowledge;
    const mesh = this.#mesh ?? before?.mesh;
    if (mesh === undefined) throw new FeedFault("it never said which mesh this is");
    const drafted = [...this.#draft];
    this.#knowledge = {
      version,
      mesh,
      services: { ...before?.services, ...Object.fromEntries(drafted) },
    };
    this.#mesh = null;
    this.#draft = new Map();
    const old = (name: string) => ownValue(before?.services, name) ?? nothing;
    const rulesChanged =
      !same(before?.mesh, mesh) || drafted.some(([name, now]) => !same(old(name).rules, now.rules));
    const instances = drafted.filter(([name, now]) => !same(old(name).instances?.list, now.instances?.list));
    return { rules: rulesChanged ? "changed" : "same", instances: instances.map(([name]) => name) };
  }
}

/** In an order that stays, whatever order they came in. */
function sorted(instances: readonly Instance[]): readonly Instance[] {
  if (instances.length > instancesMax)
    throw new FeedFault(`it names more than ${instancesMax} instances of a service`);
  const byId = new Map(instances.map((instance) => [instance.id, instance]));
  return [...byId.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** What is known of a service: that the mesh document has it, that it has not, or nothing yet. */
export function ruleState(knowledge: MeshKnowledge | null, service: string): "known" | "missing" | "unheard" {
  const rules = ownValue(knowledge?.services, service)?.rules ?? null;
  if (rules === null) return "unheard";
  return rules.service === null ? "missing" : "known";
}

function same(left: unknown, right: unknown): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

/** A service may be called as something is that every object has. */
export function ownValue<Value>(of: Readonly<Record<string, Value>> | undefined, name: string): Value | null {
  return of !== undefined && Object.hasOwn(of, name) ? of[name]! : null;
}
