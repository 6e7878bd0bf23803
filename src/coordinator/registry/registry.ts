/**
 * Who is where: the instances of all services. Each node holds one lease for all of its own; it is kept here alone, on
 * the monotonic clock, so that neither a restart nor a clock that was set changes who lives.
 */

import type { Clock } from "../../machine.ts";
import type { Instance, LeaseRequest } from "../../mesh.ts";
import { Refusal } from "../refusal.ts";
import type { StoredInstance } from "../store/store.ts";
import { Tally } from "../tally.ts";
import { type RegisteredInstance, registeredInstance, ServiceInstances } from "./service-instances.ts";

export const leaseMs = 10_000;
export const renewEveryMs = 3_000;

/** An expiry that comes later than this was not the nodes' silence: this process did not run, and heard nobody. */
const lateMsMax = 1000;

export interface RegistryLimits {
  readonly perNode: number;
  readonly perService: number;
  readonly inAll: number;
  readonly nodes: number;
  /** Whoever has its certificate may call itself what it likes, and others find room all the same. */
  readonly nodesPerService: number;
}

export const registryLimits: RegistryLimits = {
  perNode: 100,
  perService: 10_000,
  inAll: 50_000,
  nodes: 50_000,
  nodesPerService: 10_000,
};

/** What happened to one service, after it happened. */
export interface RegistryChange {
  readonly service: string;
  /** Of the instances that are new, other than before, or gone. */
  readonly ids: readonly string[];
}

export interface RegisteredNode {
  readonly service: string;
  readonly node: string;
  readonly instances: number;
  readonly leaseLeftMs: number;
  /** Of the mesh document, as the node said. */
  readonly version: number | null;
}

interface Leaseholder {
  readonly service: string;
  readonly node: string;
  readonly ids: ReadonlySet<string>;
  readonly endsAtMs: number;
  readonly version: number | null;
}

export interface RegistryParts {
  readonly clock: Clock;
  readonly limits?: RegistryLimits;
  readonly changed: (change: RegistryChange) => void;
  /** A node did not renew. */
  readonly expired?: (node: {
    readonly service: string;
    readonly node: string;
    readonly instances: number;
  }) => void;
}

export class Registry {
  readonly #clock: Clock;
  readonly #limits: RegistryLimits;
  readonly #changed: (change: RegistryChange) => void;
  readonly #expired: NonNullable<RegistryParts["expired"]>;
  readonly #services = new Map<string, ServiceInstances>();
  /** All leases are equally long: in the order of their ends. */
  readonly #holders = new Map<string, Leaseholder>();
  /** How many of them each service has. */
  readonly #nodesOf = new Tally();
  /** By the ids of instances the key of their node. */
  readonly #owners = new Map<string, string>();
  #cancelExpiry: (() => void) | null = null;

  constructor({ clock, limits = registryLimits, changed, expired = () => {} }: RegistryParts) {
    this.#clock = clock;
    this.#limits = limits;
    this.#changed = changed;
    this.#expired = expired;
  }

  /**
   * Instances that a store kept: whether their nodes live is unknown, so each gets one lease's time to say so. Returns those
   * that there is no room for, the last ones of the order given: a process that ended between two writes may have left more
   * than there were, and the limits may have been larger.
   */
  load(stored: readonly StoredInstance[]): readonly StoredInstance[] {
    const nodes = new Map<string, StoredInstance[]>();
    for (const one of stored) {
      const key = holderKey(one.instance.service, one.node);
      const found = nodes.get(key) ?? [];
      found.push(one);
      nodes.set(key, found);
    }
    return [...nodes.values()].flatMap((all) => this.#loadNode(all));
  }

  #loadNode(all: readonly StoredInstance[]): readonly StoredInstance[] {
    const { node, instance } = all[0]!;
    const kept = all.slice(0, this.#roomFor(instance.service));
    this.renew(instance.service, { node, instances: kept.map((one) => one.instance) });
    return all.slice(kept.length);
  }

  /**
   * Makes these the instances of the node, for a lease from now on; with neither an instance nor a version it has left.
   * `service` is what the node proved to be. Throws a Refusal, and then changes nothing.
   */
  renew(service: string, { node, instances, version }: LeaseRequest): void {
    const key = holderKey(service, node);
    const before = this.#holders.get(key)?.ids ?? new Set<string>();
    this.#check(service, key, instances);
    const stays = instances.length > 0 || version !== undefined;
    if (stays && !this.#holders.has(key)) this.#demandRoom(service);
    const next = instances.map((instance) => registeredInstance(instance, node));
    const ids = new Set(instances.map(({ id }) => id));
    const known = this.#services.get(service);
    const put = next.filter(({ instance, text }) => known?.get(instance.id)?.text !== text);
    const gone = [...before].filter((id) => !ids.has(id));
    this.#hold(key, { service, node, ids, endsAtMs: this.#clock.now() + leaseMs, version: version ?? null });
    this.#apply(service, { key, put, gone });
  }

  /** The service is no more: its instances go at once. */
  remove(service: string): void {
    for (const [key, holder] of this.#holders) if (holder.service === service) this.#end(key, holder);
  }

  /** Undefined for a service without instances. */
  service(name: string): ServiceInstances | undefined {
    return this.#services.get(name);
  }

  /** In the order of their names. */
  services(): readonly string[] {
    return [...this.#services.keys()].sort();
  }

  nodes(): readonly RegisteredNode[] {
    const now = this.#clock.now();
    return [...this.#holders.values()].map(({ service, node, ids, endsAtMs, version }) => ({
      service,
      node,
      version,
      instances: ids.size,
      leaseLeftMs: Math.max(0, Math.round(endsAtMs - now)),
    }));
  }

  get size(): number {
    return this.#owners.size;
  }

  close(): void {
    this.#cancelExpiry?.();
    this.#cancelExpiry = null;
  }

  #check(service: string, key: string, instances: readonly Instance[]): void {
    const seen = new Set<string>();
    for (const { id, service: named } of instances) {
      if (named !== service) throw notYourService(id, { named, service });
      if (seen.has(id))
        throw new Refusal("instance-twice", `the instance "${id}" is there twice: each has an id of its own`);
      seen.add(id);
      const owner = this.#owners.get(id);
      if (owner !== undefined && owner !== key) throw instanceTaken(id);
    }
    const { perNode, perService, inAll } = this.#limits;
    const added = instances.length - (this.#holders.get(key)?.ids.size ?? 0);
    if (instances.length > perNode) throw tooMany(instances.length, perNode, "one node");
    if (added <= 0) return;
    const ofService = (this.#services.get(service)?.size ?? 0) + added;
    if (ofService > perService) throw tooMany(ofService, perService, `the service "${service}"`);
    if (this.size + added > inAll) throw tooMany(this.size + added, inAll, "the mesh");
  }

  #demandRoom(service: string): void {
    const refusal = this.#noRoomForNode(service);
    if (refusal !== null) throw refusal;
  }

  #noRoomForNode(service: string): Refusal | null {
    const { nodes, nodesPerService } = this.#limits;
    if (this.#nodesOf.of(service) >= nodesPerService) return tooManyNodes(`of "${service}"`, nodesPerService);
    return this.#holders.size >= nodes ? tooManyNodes("in the mesh", nodes) : null;
  }

  /** Instances that one node more may have. */
  #roomFor(service: string): number {
    if (this.#noRoomForNode(service) !== null) return 0;
    const { perNode, perService, inAll } = this.#limits;
    return Math.min(perNode, perService - (this.#services.get(service)?.size ?? 0), inAll - this.size);
  }

  #apply(service: string, { key, put, gone }: Difference): void {
    if (put.length === 0 && gone.length === 0) return;
    const instances = this.#services.get(service) ?? new ServiceInstances();
    this.#services.set(service, instances);
    for (const registered of put) {
      instances.put(registered);
      this.#owners.set(registered.instance.id, key);
    }
    for (const id of gone) {
      instances.delete(id);
      this.#owners.delete(id);
    }
    if (instances.size === 0) this.#services.delete(service);
    this.#changed({ service, ids: [...put.map(({ instance }) => instance.id), ...gone] });
  }

  /** Behind all others: its lease ends last. */
  #hold(key: string, holder: Leaseholder): void {
    this.#forget(key, holder);
    if (holder.ids.size > 0 || holder.version !== null) {
      this.#holders.set(key, holder);
      this.#nodesOf.add(holder.service);
    }
    this.#awaitExpiry();
  }

  #end(key: string, holder: Leaseholder): void {
    this.#forget(key, holder);
    this.#apply(holder.service, { key, put: [], gone: [...holder.ids] });
  }

  #forget(key: string, { service }: Leaseholder): void {
    if (this.#holders.delete(key)) this.#nodesOf.remove(service);
  }

  #awaitExpiry(): void {
    const [first] = this.#holders.values();
    if (this.#cancelExpiry !== null || first === undefined) return;
    const { endsAtMs } = first;
    this.#cancelExpiry = this.#clock.after(Math.max(0, endsAtMs - this.#clock.now()), () => {
      this.#cancelExpiry = null;
      this.#expire(this.#clock.now() - endsAtMs);
      this.#awaitExpiry();
    });
  }

  #expire(lateMs: number): void {
    const now = this.#clock.now();
    if (lateMs > lateMsMax) {
      for (const [key, holder] of this.#holders)
        this.#holders.set(key, { ...holder, endsAtMs: now + leaseMs });
      return;
    }
    for (const [key, holder] of this.#holders) {
      if (holder.endsAtMs > now) return;
      this.#end(key, holder);
      this.#expired({ service: holder.service, node: holder.node, instances: holder.ids.size });
    }
  }
}

interface Difference {
  readonly key: string;
  readonly put: readonly RegisteredInstance[];
  readonly gone: readonly string[];
}

/** Names of services have no slash. */
function holderKey(service: string, node: string): string {
  return `${service}/${node}`;
}

function notYourService(id: string, { named, service }: { named: string; service: string }): Refusal {
  return new Refusal(
    "not-your-service",
    `the instance "${id}" is said to be of "${named}", and the certificate says "${service}": a node registers instances of its own service`,
  );
}

function instanceTaken(id: string): Refusal {
  return new Refusal(
    "instance-taken",
    `the instance "${id}" is another node's: does a second node use a copy of its state? Start this one with a state folder of its own`,
  );
}

function tooManyNodes(where: string, most: number): Refusal {
  return new Refusal("too-many-nodes", `there are ${most} nodes ${where} already, and may be no more`);
}

function tooMany(wanted: number, most: number, of: string): Refusal {
  return new Refusal("too-many-instances", `${wanted} instances of ${of}: there may be ${most}`);
}
