/** A coordinator put together: what it knows, who may ask, and how one change reaches those whom it concerns. */
import type { Clock, Random } from "../machine.ts";
import type { DocumentVersion } from "../mesh.ts";
import type { Log } from "../types.ts";
import { type ApiApp, coordinatorApi } from "./api/api.ts";
import { CoordinatorMeters, type CoordinatorReadings } from "./api/meters.ts";
import type { Documents } from "./api/parts.ts";
import { Feed, type FeedMesh } from "./feed/feed.ts";
import { type Authority, leafMs } from "./identity/authority.ts";
import { Issuing } from "./identity/issuing.ts";
import type { Tokens } from "./identity/tokens.ts";
import { InstanceKeeper } from "./registry/instance-keeper.ts";
import { Registry } from "./registry/registry.ts";
import { RemovedServices } from "./removed-services.ts";
import type { Store } from "./store/store.ts";

/** How often it is looked whether the last certificate of a removed service has ended. */
const forgetEveryMs = 60_000;

export interface CoordinatorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whoever opened it closes it. */
  readonly store: Store;
  readonly trustDomain: string;
  readonly authority: Authority;
  readonly tokens: Tokens;
  readonly documents: Documents;
  /** Puts a token that holds to where the operator looks for it. */
  writeOperatorToken(): Promise<void>;
}

export class Coordinator {
  readonly app: ApiApp;
  readonly #parts: CoordinatorParts;
  readonly #registry: Registry;
  readonly #feed: Feed;
  readonly #keeper: InstanceKeeper;
  readonly #removed: RemovedServices;
  readonly #meters = new CoordinatorMeters();
  #current: DocumentVersion | null = null;
  #adopting: Promise<void> = Promise.resolve();
  readonly #cancels: (() => void)[] = [];

  private constructor(parts: CoordinatorParts) {
    const { clock, random, log, store } = parts;
    this.#parts = parts;
    this.#removed = new RemovedServices(parts);
    this.#registry = new Registry({
      clock,
      changed: (change) => {
        this.#feed.instancesChanged(change);
        this.#keeper.changed(change);
      },
      expired: (node) => {
        this.#meters.leaseEnded();
        log.warn("a node did not renew its lease: its instances are gone", node);
      },
    });
    this.#feed = new Feed({ clock, random, registry: this.#registry, mesh: this.#mesh() });
    this.#keeper = new InstanceKeeper({ store, clock, log }, this.#registry);
    this.app = this.#api();
  }

  /** Rejects with a StoreFailure when the store cannot be read. */
  static async open(parts: CoordinatorParts): Promise<Coordinator> {
    const coordinator = new Coordinator(parts);
    await coordinator.#start();
    return coordinator;
  }

  get version(): number {
    return this.#current?.version ?? 0;
  }

  /** Every feed ends; what is not stored yet is stored. */
  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    this.#feed.close();
    this.#registry.close();
    await this.#keeper.close();
  }

  async #start(): Promise<void> {
    const { store, clock, log } = this.#parts;
    await this.#removed.load();
    await this.#keeper.load();
    // The process may have ended before the store knew that their instances are gone.
    for (const service of this.#removed.names()) this.#registry.remove(service);
    this.#current = await this.#before();
    await this.adopt();
    this.#cancels.push(
      clock.every(forgetEveryMs, () => this.#feed.meshChanged(this.#mesh())),
      store.watch((part) => {
        if (part !== "versions") return;
        this.adopt().catch((error: Error) => log.error("a new version was not read", { why: error.message }));
      }),
    );
  }

  /**
   * The version before the current one, while certificates of services that only it has may hold: the process may have
   * ended before the store knew that they were removed.
   */
  async #before(): Promise<DocumentVersion | null> {
    const { store, clock } = this.#parts;
    const current = await store.currentVersion();
    if (current === null || current.appliedEpochMs + leafMs < clock.epochMs()) return null;
    return store.readVersion(current.version - 1);
  }

  /** Makes the version that the store has the one that holds. */
  adopt(): Promise<void> {
    const next = this.#adopting.then(() => this.#adopt());
    this.#adopting = next.catch(() => {});
    return next;
  }

  async #adopt(): Promise<void> {
    const next = await this.#parts.store.currentVersion();
    if (next === null || next.version <= this.version) return;
    const { removed, stored } = this.#removed.documentChanged(this.#current, next);
    this.#current = next;
    for (const service of removed) {
      this.#registry.remove(service);
      this.#feed.cutOff(service);
      this.#parts.log.info("a service was removed: its certificates hold no more", { service });
    }
    this.#feed.documentChanged(next.version, next.config, this.#mesh());
    await stored;
  }

  #mesh(): FeedMesh {
    const { trustDomain, authority } = this.#parts;
    return {
      trustDomain,
      egress: this.#current?.config.egress ?? "allow",
      removed: this.#removed.names().map((service) => `spiffe://${trustDomain}/${service}`),
      roots: authority.roots,
    };
  }

  #api(): ApiApp {
    const { clock, log, trustDomain, tokens } = this.#parts;
    const isRemoved = (service: string) => this.#removed.has(service);
    return coordinatorApi({
      clock,
      log,
      trustDomain,
      registry: this.#registry,
      feed: this.#feed,
      credentials: new Issuing({ ...this.#parts, isRemoved }),
      operators: {
        check: (token) => tokens.checkOperator(token),
        rotate: async () => {
          await tokens.rotate();
          await this.#parts.writeOperatorToken();
        },
      },
      documents: this.#documents(),
      meters: this.#meters,
      isRemoved,
      warnings: () => [
        ...(this.#keeper.problem === null ? [] : [this.#keeper.problem]),
        ...this.#parts.authority.warnings(),
      ],
      readings: () => this.#readings(),
    });
  }

  /** What was changed holds here before it is answered. */
  #documents(): Documents {
    const { documents } = this.#parts;
    return {
      read: (version) => documents.read(version),
      list: () => documents.list(),
      apply: async (request, by, how) => {
        const answer = await documents.apply(request, by, how);
        if (how === "apply") await this.adopt();
        return answer;
      },
      rollback: async (request, by) => {
        const answer = await documents.rollback(request, by);
        await this.adopt();
        return answer;
      },
    };
  }

  #readings(): CoordinatorReadings {
    const { subscribers, sentBytes, cutOff } = this.#feed.readings;
    return {
      instances: this.#registry.size,
      services: this.#registry.services().length,
      nodes: this.#registry.nodes().length,
      subscribers,
      documentVersion: this.version,
      feedSentBytes: sentBytes,
      feedCutOff: cutOff,
      storeFailures: this.#keeper.failures,
    };
  }
}
