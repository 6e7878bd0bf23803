/** Who of a service's endpoints may be picked at the moment, and by which policy. */
import type { LoadBalancing } from "../../snapshot.ts";
import { HashRing, hashFraction } from "./hash-ring.ts";
import { LeastLatency } from "./least-latency.ts";
import { LeastRequest } from "./least-request.ts";
import type { Balancer, KeyedRequest, Loaded, PolicyParts } from "./policy.ts";
import { RandomChoice } from "./random.ts";
import { RingHash } from "./ring-hash.ts";
import { RoundRobin } from "./round-robin.ts";
import { SlowStart } from "./slow-start.ts";
import type { Standing } from "./standing.ts";
import { Zones, zoneShares } from "./zones.ts";

export interface Member extends Loaded {
  readonly name: string;
  readonly zone: string | null;
  readonly standing: Standing;
}

export interface SelectionConfig {
  readonly loadBalancing: LoadBalancing;
  readonly slowStartMs: number;
  readonly panicShare: number;
}

export interface Selection<E> {
  readonly balancer: Balancer<E>;
  /** Those that it picks from. */
  readonly picked: readonly E[];
  /** Those that are out, but pass their checks: better than nobody. Empty where panic is forbidden. */
  readonly ejected: readonly E[];
  /** In a panic all endpoints are used, well or not. */
  readonly panic: "yes" | "no";
  /** How many are well and have a weight. */
  readonly well: number;
  /** When time alone makes another selection due: an ejection or a slow start ends. Infinity when none does. */
  readonly dueAtMs: number;
}

/** Endpoints that are picked from together. */
interface Group<E> {
  readonly name: "all" | "local" | "others";
  readonly members: readonly E[];
  readonly well: readonly E[];
}

export class Selector<E extends Member> {
  readonly #config: SelectionConfig;
  /** Null when the node has none; zones do not count then. */
  readonly #zone: string | null;
  readonly #parts: PolicyParts;
  readonly #rings = new Map<Group<E>["name"], HashRing<E>>();

  constructor(config: SelectionConfig, zone: string | null, parts: PolicyParts) {
    this.#config = config;
    this.#zone = zone;
    this.#parts = parts;
  }

  /** To be called whenever an endpoint comes, goes, or does well or badly. One of weight 0 gets nothing. */
  select(endpoints: readonly E[]): Selection<E> {
    const now = this.#parts.clock.now();
    const group = (name: Group<E>["name"], members: readonly E[]): Group<E> => ({
      name,
      members,
      well: members.filter(({ standing }) => standing.isWell(now)),
    });
    const all = group(
      "all",
      endpoints.filter(({ load }) => load.weight > 0),
    );
    const zone = this.#zone;
    const local = group(
      "local",
      all.members.filter((endpoint) => endpoint.zone === zone),
    );
    const others = group(
      "others",
      all.members.filter((endpoint) => endpoint.zone !== zone),
    );
    const zoned = zone !== null && local.members.length > 0 && others.members.length > 0;
    const shares = zoned ? zoneShares(wellShare(local), wellShare(others)) : null;
    const dueAtMs = this.#dueAt(all.members, now);
    const well = all.well.length;
    // As in Envoy: endpoints of other zones that can take all requests leave no need for a panic.
    const tooFew = shares?.enough !== "yes" && wellShare(all) < this.#config.panicShare;
    if (tooFew || this.#isHopeless(all)) {
      const balancer = this.#policy({ ...all, well: all.members });
      return { balancer, picked: all.members, ejected: [], panic: "yes", well, dueAtMs };
    }
    const balancer =
      shares === null
        ? this.#warming(all)
        : new Zones({
            local: this.#warming(local),
            others: this.#warming(others),
            localShare: shares.local,
            draw: (request) => this.#draw(request),
          });
    return { balancer, picked: all.well, ejected: this.#ejected(all, now), panic: "no", well, dueAtMs };
  }

  /** Whether all that are left fail like those that are out, who can only do better then. */
  #isHopeless({ members, well }: Group<E>): boolean {
    if (this.#config.panicShare === 0 || well.length === members.length) return false;
    return well.every(({ standing }) => standing.isFailing);
  }

  #ejected({ members, well }: Group<E>, now: number): readonly E[] {
    if (this.#config.panicShare === 0 || well.length === members.length) return [];
    return members.filter(({ standing }) => standing.health === "healthy" && !standing.isWell(now));
  }

  /** How much of its weight an endpoint gets requests by, as far as its own state says. */
  weightInEffect({ load, standing }: E): number {
    const now = this.#parts.clock.now();
    if (!standing.isWell(now)) return 0;
    const { loadBalancing, slowStartMs } = this.#config;
    return loadBalancing.policy === "ring-hash"
      ? load.weight
      : load.weight * standing.warmth(now, slowStartMs);
  }

  /** Which zone a request goes to is its key's to say, or half of what a zone spills would change its endpoint each time. */
  #draw(request: KeyedRequest): number {
    const { loadBalancing } = this.#config;
    const value = loadBalancing.policy === "ring-hash" ? request.keyValue(loadBalancing.key) : null;
    return value === null ? this.#parts.random.fraction() : hashFraction(value);
  }

  #warming(group: Group<E>): Balancer<E> {
    const { clock } = this.#parts;
    const { slowStartMs } = this.#config;
    const policy = this.#policy(group);
    const now = clock.now();
    const warm = group.well.every((endpoint) => this.#warmAt(endpoint) <= now);
    return warm ? policy : new SlowStart(policy, slowStartMs, this.#parts);
  }

  #policy({ name, members, well }: Group<E>): Balancer<E> {
    const { loadBalancing } = this.#config;
    const { random } = this.#parts;
    switch (loadBalancing.policy) {
      case "least-latency":
        return new LeastLatency(well, this.#parts);
      case "round-robin":
        return new RoundRobin(well, random);
      case "least-request":
        return new LeastRequest(well, random);
      case "random":
        return new RandomChoice(well, random);
      case "ring-hash":
        return new RingHash(well, { key: loadBalancing.key, ring: this.#ring(name, members), random });
    }
  }

  /** Only a change of who is there, or of a weight, makes another ring. */
  #ring(name: Group<E>["name"], members: readonly E[]): HashRing<E> {
    const known = this.#rings.get(name);
    if (known?.isOf(members)) return known;
    const ring = new HashRing(members);
    this.#rings.set(name, ring);
    return ring;
  }

  /** A key belongs to its endpoint from the first moment on: there is no slow start for it. */
  #warmAt({ standing }: E): number {
    const { loadBalancing, slowStartMs } = this.#config;
    return loadBalancing.policy === "ring-hash" ? -Infinity : standing.startedAtMs + slowStartMs;
  }

  #dueAt(members: readonly E[], now: number): number {
    let dueAtMs = Infinity;
    for (const endpoint of members) {
      for (const atMs of [endpoint.standing.ejectedUntilMs, this.#warmAt(endpoint)]) {
        if (atMs > now && atMs < dueAtMs) dueAtMs = atMs;
      }
    }
    return dueAtMs;
  }
}

/** Of no endpoint at all, none is unwell. */
function wellShare({
  members,
  well,
}: {
  readonly members: readonly unknown[];
  readonly well: readonly unknown[];
}) {
  return members.length === 0 ? 1 : well.length / members.length;
}
