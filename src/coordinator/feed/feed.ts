/** Tells each node what became of the services that it uses, and nothing else. */
import type { Clock, Random } from "../../machine.ts";
import type { FeedRequest, MeshConfig } from "../../mesh.ts";
import type { Caller } from "../caller.ts";
import { Refusal } from "../refusal.ts";
import type { Registry, RegistryChange } from "../registry/registry.ts";
import { Tally } from "../tally.ts";
import { feedLine } from "./feed-line.ts";
import { type ServiceRules, serviceRules } from "./service-rules.ts";
import { type FeedState, Subscription } from "./subscription.ts";
import { Tellings } from "./tellings.ts";
import { type Follower, NOTHING, Topic } from "./topic.ts";

/** What happens within this goes out together. */
export const gatherMs = 50;
/** And for so much longer after each node that was told something: whatever happens, telling it leaves time for the rest. */
export const gatherMsPerNode = 0.05;
export const beatEveryMs = 5000;
/** A node that has left lines unread for so long is cut off: it may come back with what it has. */
const unreadMsMax = 60_000;
/** A feed ends after one to two times this, and its node shows its certificate anew. */
const ageMs = 3_600_000;

export interface FeedLimits {
  readonly subscribers: number;
  /** Nodes of one service: whoever has its certificate may call itself what it likes, and others find room all the same. */
  readonly perService: number;
  /** Of one node. */
  readonly services: number;
  /**
   * Names that neither the mesh document nor the registry has, of all nodes of one service together: nodes may listen before
   * the first document, but what is kept for a name must not grow with what somebody makes up.
   */
  readonly unknownPerService: number;
  /** So many a node may name whatever the others of its service name. */
  readonly unknownAlways: number;
}

export const feedLimits: FeedLimits = {
  subscribers: 5000,
  perService: 2000,
  services: 1000,
  unknownPerService: 20_000,
  unknownAlways: 10,
};

export interface FeedMesh {
  readonly trustDomain: string;
  readonly egress: MeshConfig["egress"];
  readonly removed: readonly string[];
  readonly roots: string;
}

export interface FeedParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: Pick<Registry, "service">;
  readonly mesh: FeedMesh;
  readonly limits?: FeedLimits;
}

export interface FeedReadings {
  readonly subscribers: number;
  readonly sentBytes: number;
  /** Nodes that did not read. */
  readonly cutOff: number;
}

interface Subscribed {
  readonly subscription: Subscription;
  readonly endsAtMs: number;
  /** Of the names that it listens to, as counted when it came or when a document did. */
  unknown: number;
}

export class Feed {
  readonly #parts: FeedParts;
  readonly #limits: FeedLimits;
  readonly #topics = new Map<string, Topic>();
  #rules: ReadonlyMap<string, ServiceRules> = new Map();
  readonly #subscriptions = new Map<string, Subscribed>();
  /** How many of them each service has. */
  readonly #nodesOf = new Tally();
  /** And how many unknown names they listen to. */
  readonly #unknownOf = new Tally();
  readonly #touched = new Set<Topic>();
  readonly #tellings: Tellings;
  #cancelFlush: (() => void) | null = null;
  #notBeforeMs = 0;
  readonly #cancelBeat: () => void;
  readonly #state: { -readonly [Key in keyof FeedState]: FeedState[Key] };
  #sentBytes = 0;
  #cutOff = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? feedLimits;
    this.#tellings = new Tellings(parts.clock);
    this.#state = {
      meshLine: feedLine({ kind: "mesh", ...parts.mesh }),
      liveLine: feedLine({ kind: "live", version: 0 }),
      now: () => parts.clock.now(),
      sent: (bytes) => {
        this.#sentBytes += bytes;
      },
    };
    this.#cancelBeat = parts.clock.every(beatEveryMs, () => this.#tick());
  }

  get readings(): FeedReadings {
    return { subscribers: this.#subscriptions.size, sentBytes: this.#sentBytes, cutOff: this.#cutOff };
  }

  /** Who listens to what. */
  subscribers(): { readonly caller: Caller; readonly services: readonly string[] }[] {
    return [...this.#subscriptions.values()].map(({ subscription }) => ({
      caller: subscription.caller,
      services: [...subscription.topics].map(({ service }) => service).sort(),
    }));
  }

  // ---- what changed ----

  instancesChanged({ service, ids }: RegistryChange): void {
    const topic = this.#topics.get(service);
    if (topic === undefined) return;
    topic.touch(ids);
    this.#touched.add(topic);
    const { clock } = this.#parts;
    const waitMs = Math.max(gatherMs, this.#notBeforeMs - clock.now());
    this.#cancelFlush ??= clock.after(waitMs, () => this.#flush());
  }

  /**
   * Resolves when all that happened to the service until now is on its way to every node that uses it, or after a second:
   * one that reads slowly holds nobody up. Whether a node acts on it already is not known here.
   */
  async told(service: string): Promise<void> {
    const topic = this.#topics.get(service);
    if (topic !== undefined) await this.#tellings.wait(topic, this.#touched.has(topic) ? "gathered" : "sent");
  }

  /** Another version holds; what it means for all nodes is told with it. */
  documentChanged(
    version: number,
    { services, plugins }: Pick<MeshConfig, "services" | "plugins">,
    mesh?: FeedMesh,
  ): void {
    if (mesh !== undefined) this.#keepMesh(mesh);
    this.#rules = new Map(services.map((rules) => [rules.name, serviceRules(rules.name, rules, plugins)]));
    this.#state.liveLine = feedLine({ kind: "live", version });
    for (const topic of [...this.#topics.values()]) {
      this.#forgetEmpty(topic);
      topic.rules = this.#rulesOf(topic.service);
      for (const follower of topic.followers) follower.mark(topic);
    }
    for (const subscribed of this.#subscriptions.values()) this.#countAgain(subscribed);
    this.#wakeAll();
  }

  meshChanged(mesh: FeedMesh): void {
    this.#keepMesh(mesh);
    this.#wakeAll();
  }

  // ---- who listens ----

  /**
   * Throws a Refusal. A node's former feed ends: it is not there any more, whatever its connection says. `abort` ends the
   * connection of this one, should it take nothing.
   */
  subscribe(caller: Caller, { services, known }: FeedRequest, abort: () => void): Subscription {
    const key = `${caller.service}/${caller.node}`;
    const names = new Set(services);
    if (names.size > this.#limits.services) throw tooMany(names.size, this.#limits.services, "services");
    const unknown = this.#unknownAmong(names);
    const before = this.#subscriptions.get(key);
    if (before === undefined) this.#demandRoom(caller.service);
    this.#demandRoomForNames(caller.service, { unknown, before: before?.unknown ?? 0 });
    before?.subscription.end();
    const subscription = new Subscription(caller, this.#state, {
      heard: () => this.#tellings.heard(subscription),
      ended: () => this.#ended(key, subscription),
      abort,
    });
    for (const name of names) {
      const topic = this.#topic(name);
      topic.followers.add(subscription);
      const tags = Object.hasOwn(known, name) ? known[name] : undefined;
      subscription.follow(topic, tags ?? { rules: NOTHING, instances: NOTHING });
    }
    const endsAtMs = this.#parts.clock.now() + ageMs * (1 + this.#parts.random.fraction());
    this.#subscriptions.set(key, { subscription, endsAtMs, unknown });
    this.#nodesOf.add(caller.service);
    this.#unknownOf.add(caller.service, unknown);
    return subscription;
  }

  /** The feeds of a service's own nodes end at once. */
  cutOff(service: string): void {
    for (const { subscription } of [...this.#subscriptions.values()]) {
      if (subscription.caller.service === service) subscription.end();
    }
  }

  close(): void {
    this.#cancelBeat();
    this.#cancelFlush?.();
    this.#tellings.close();
    for (const { subscription } of [...this.#subscriptions.values()]) subscription.end();
  }

  #demandRoom(service: string): void {
    const { subscribers, perService } = this.#limits;
    const ofService = this.#nodesOf.of(service);
    if (ofService >= perService)
      throw tooMany(ofService + 1, perService, `nodes of "${service}" that listen`);
    if (this.#subscriptions.size >= subscribers) {
      throw tooMany(this.#subscriptions.size + 1, subscribers, "nodes that listen");
    }
  }

  #demandRoomForNames(service: string, { unknown, before }: { unknown: number; before: number }): void {
    const { unknownPerService, unknownAlways } = this.#limits;
    const inAll = this.#unknownOf.of(service) - before + unknown;
    if (unknown <= unknownAlways || inAll <= unknownPerService) return;
    throw tooMany(
      inAll,
      unknownPerService,
      `names that the mesh does not have, named by the nodes of "${service}" (${unknown} of them by this one)`,
    );
  }

  #unknownAmong(names: Iterable<string>): number {
    let count = 0;
    for (const name of names)
      if (!this.#rules.has(name) && this.#parts.registry.service(name) === undefined) count += 1;
    return count;
  }

  #countAgain(subscribed: Subscribed): void {
    const { service } = subscribed.subscription.caller;
    this.#unknownOf.remove(service, subscribed.unknown);
    subscribed.unknown = this.#unknownAmong(
      [...subscribed.subscription.topics].map((topic) => topic.service),
    );
    this.#unknownOf.add(service, subscribed.unknown);
  }

  #ended(key: string, subscription: Subscription): void {
    const subscribed = this.#subscriptions.get(key);
    if (subscribed?.subscription === subscription) {
      this.#subscriptions.delete(key);
      this.#nodesOf.remove(subscription.caller.service);
      this.#unknownOf.remove(subscription.caller.service, subscribed.unknown);
    }
    for (const topic of subscription.topics) {
      topic.followers.delete(subscription);
      this.#forgetEmpty(topic);
    }
    this.#tellings.heard(subscription);
  }

  #topic(service: string): Topic {
    const known = this.#topics.get(service);
    if (known !== undefined) return known;
    const { registry } = this.#parts;
    const topic = new Topic(service, this.#rulesOf(service), () => registry.service(service));
    this.#topics.set(service, topic);
    return topic;
  }

  /** A topic without subscribers stays while its service does: it knows what those miss who are away for a moment. */
  #forgetEmpty(topic: Topic): void {
    const { service } = topic;
    // One that was forgotten before may have a successor by now.
    if (this.#topics.get(service) !== topic) return;
    if (topic.empty && !this.#rules.has(service)) this.#topics.delete(service);
  }

  #rulesOf(service: string): ServiceRules {
    return this.#rules.get(service) ?? serviceRules(service, null, []);
  }

  #flush(): void {
    this.#cancelFlush = null;
    const topics = [...this.#touched];
    this.#touched.clear();
    // A node that uses several of them is woken when all are marked: it then gets them in one piece.
    const woken = new Set<Follower>();
    for (const topic of topics) {
      topic.settle();
      for (const follower of topic.followers) {
        follower.mark(topic);
        woken.add(follower);
      }
      this.#forgetEmpty(topic);
    }
    for (const follower of woken) follower.wake();
    for (const topic of topics) this.#tellings.sent(topic);
    this.#notBeforeMs = this.#parts.clock.now() + gatherMs + woken.size * gatherMsPerNode;
  }

  /** The same line says that nothing changed. */
  #keepMesh(mesh: FeedMesh): void {
    const line = feedLine({ kind: "mesh", ...mesh });
    if (!line.equals(this.#state.meshLine)) this.#state.meshLine = line;
  }

  #wakeAll(): void {
    for (const { subscription } of this.#subscriptions.values()) subscription.wake();
  }

  #tick(): void {
    const now = this.#parts.clock.now();
    for (const { subscription, endsAtMs } of [...this.#subscriptions.values()]) {
      if (subscription.unreadMs > unreadMsMax) {
        this.#cutOff += 1;
        subscription.end();
      } else if (now >= endsAtMs) subscription.end();
      else subscription.beat();
    }
  }
}

function tooMany(count: number, most: number, what: string): Refusal {
  return new Refusal("too-many-subscriptions", `${count} ${what}: there may be ${most}`);
}
