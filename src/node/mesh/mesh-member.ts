/** What a node in a mesh has, sidecar or gateway: credentials, what it knows, and who tells it of changes. */
import { usedServicesMax } from "../../config/limits.ts";
import type { Certificates, Clock, PrivateFolder, Random } from "../../machine.ts";
import type { LeaseAnswer } from "../../mesh.ts";
import type { Problem } from "../../snapshot.ts";
import type { Log } from "../../types.ts";
import type { TryFilters } from "../plugins/filters-trial.ts";
import type { Registry } from "../service-watch/registry.ts";
import type { Coordinator } from "./coordinator.ts";
import { faultText } from "./coordinator.ts";
import { CredentialsKeeper, type FindToken, type KeyRequest } from "./credentials-keeper.ts";
import { FeedReader } from "./feed-reader.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { countedInstances, type MeshStatus } from "./mesh-status.ts";
import { type MeshChange, type MeshKnowledge, MeshView } from "./mesh-view.ts";
import { NodeState, type OwnCredentials } from "./node-state.ts";
import { RulesTrial } from "./rules-trial.ts";
import { RulesSettler, type SettledRules } from "./settled-rules.ts";

export interface MemberParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly certificates: Certificates;
  readonly coordinator: Coordinator;
  readonly registry: Registry;
  readonly tryFilters: TryFilters;
  makeKey(): Promise<KeyRequest>;
}

/** What the mesh says is written to disk when nothing changed for so long, or that long after a first change. */
const saveAfterMs = 1_000;

export interface MemberOptions {
  readonly service: string;
  /** Whether code that the mesh document brings is run. */
  readonly plugins: "yes" | "no";
  readonly folder: PrivateFolder;
  /** Of which services it has to hear, by what it knows. */
  subscribed(knowledge: MeshKnowledge | null): readonly string[];
  /** Another snapshot may be made. */
  changed(): void;
  /** Another version of the document holds, in which nothing is other for this node. */
  unchanged(): void;
}

export class MeshMember {
  readonly lease: LeaseKeeper;
  readonly nodeId: string;
  readonly #parts: MemberParts;
  readonly #options: MemberOptions;
  readonly #state: NodeState;
  readonly #credentials: CredentialsKeeper;
  readonly #view: MeshView;
  readonly #feed: FeedReader;
  readonly #rules: RulesSettler;
  readonly #live = Promise.withResolvers<void>();
  #cancelSave: (() => void) | null = null;
  #closed = false;
  /** Services that are used beside those that a node may hear of. */
  #unheard: readonly string[] = [];

  private constructor(
    parts: MemberParts,
    options: MemberOptions,
    kept: { readonly state: NodeState; readonly nodeId: string; readonly mesh: MeshKnowledge | null },
  ) {
    const { clock, random, log, coordinator } = parts;
    this.#parts = parts;
    this.#options = options;
    this.#state = kept.state;
    this.nodeId = kept.nodeId;
    this.#view = new MeshView(kept.mesh);
    this.#rules = new RulesSettler(new RulesTrial({ ...options, ...parts }), log, kept.mesh);
    this.#credentials = new CredentialsKeeper({
      ...parts,
      service: options.service,
      state: kept.state,
      join: (request) => coordinator.join({ ...request, node: kept.nodeId }),
      renew: (request, own) => coordinator.renew({ ...request, node: kept.nodeId }, own),
      renewed: () => options.changed(),
    });
    const ofNode = { clock, random, log, node: kept.nodeId };
    const lease = (request: Parameters<Coordinator["lease"]>[0]): Promise<LeaseAnswer> =>
      coordinator.lease(request, this.own);
    this.lease = new LeaseKeeper({ ...ofNode, lease });
    this.#feed = new FeedReader({
      ...ofNode,
      view: this.#view,
      open: (request) => coordinator.feed(request, this.own),
      changed: (change) => this.#changed(change),
    });
  }

  static async open(parts: MemberParts, options: MemberOptions): Promise<MeshMember> {
    const state = new NodeState(options.folder);
    const [nodeId, mesh] = [await state.nodeId(parts.random), await state.mesh()];
    return new MeshMember(parts, options, { state, nodeId, mesh });
  }

  get own(): OwnCredentials {
    return this.#credentials.own;
  }

  get knowledge(): MeshKnowledge | null {
    return this.#view.knowledge;
  }

  /**
   * Resolves when the node is somebody and knows its mesh, from the coordinator or from its last run. Throws
   * NoCredentials or a CoordinatorFault.
   */
  async begin(findToken: FindToken): Promise<void> {
    await this.#credentials.obtain(findToken, () => this.#closed);
    if (this.#closed) return;
    if (this.knowledge?.mesh.trustDomain !== this.own.trustDomain) {
      this.#view.forget();
      this.#rules.forget();
    }
    this.#credentials.start();
    this.#tellRegistry(Object.keys(this.knowledge?.services ?? {}));
    this.follow();
    if (this.knowledge === null) await this.#live.promise;
  }

  /** To be called when other services are used than before. */
  follow(): void {
    const { subscribed } = this.#options;
    // What holds may call others than what is newest and was refused. A feed of more than it may have would be refused whole.
    const wanted = [...new Set([this.knowledge, this.#rules.held].flatMap(subscribed))];
    const services = wanted.slice(0, usedServicesMax + 1);
    this.#unheard = wanted.slice(services.length);
    for (const known of Object.keys(this.knowledge?.services ?? {})) {
      if (!services.includes(known)) this.#parts.registry.forget(known);
    }
    this.#view.keepOnly(services);
    this.#feed.follow(services);
  }

  /** The rules that hold: the newest that this node can use. Trying them takes a while. */
  settle(): Promise<SettledRules> {
    return this.#rules.settle(this.knowledge);
  }

  /** What was settled last is live. */
  served(): void {
    this.#rules.served();
    this.#saveLater();
    this.follow();
  }

  /** Of the newest rules, which this node refuses; empty while they hold. */
  problems(): readonly Problem[] {
    return this.#rules.problems;
  }

  status(live: number | null, coordinators: readonly string[]): MeshStatus {
    const { identity, expiresEpochMs } = this.own;
    return {
      ...{ identity, coordinators },
      certificateEndsEpochMs: expiresEpochMs,
      feed: this.#feed.connected ? "connected" : "not connected",
      document: { live, known: this.knowledge?.version ?? null },
      leaseRenewedEpochMs: this.lease.toldAtEpochMs,
      instances: countedInstances(this.knowledge),
    };
  }

  warnings(): readonly string[] {
    const { warning: ofRules } = this.#rules;
    const own = [this.#credentials.warning(), this.lease.warning(), this.#feed.warning(), ofRules];
    return [...own, this.#unheardWarning].filter((warning) => warning !== null);
  }

  get #unheardWarning(): string | null {
    const [first, ...more] = this.#unheard;
    if (first === undefined) return null;
    const others = more.length === 0 ? "" : ` and ${more.length} more`;
    const why = `this node uses more than ${usedServicesMax} services of its mesh, so it hears nothing of ${first}${others}`;
    return `${why}: divide what it calls among several nodes`;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#credentials.close();
    this.lease.close();
    this.#feed.close();
    this.#live.resolve();
    if (this.#cancelSave !== null) await this.#save();
    await this.#state.close();
  }

  #changed({ rules, instances }: MeshChange): void {
    this.#tellRegistry(instances);
    // It may be that other services than before are named by the rules.
    this.follow();
    this.#saveLater();
    this.#live.resolve();
    if (rules === "changed") this.#options.changed();
    else this.#options.unchanged();
  }

  #tellRegistry(services: readonly string[]): void {
    for (const name of services) {
      const list = this.#view.service(name)?.instances?.list ?? [];
      const endpoints = list.map(({ address, weight, zone, version, state }) => ({
        config: { address, weight, zone, version },
        state,
      }));
      this.#parts.registry.set(name, endpoints);
    }
  }

  #saveLater(): void {
    this.#cancelSave ??= this.#parts.clock.after(saveAfterMs, () => void this.#save());
  }

  async #save(): Promise<void> {
    this.#cancelSave?.();
    this.#cancelSave = null;
    const knowledge = this.#rules.keepable(this.knowledge);
    if (knowledge === null) return;
    try {
      await this.#state.keepMesh(knowledge);
    } catch (error) {
      const problem = faultText(error);
      this.#parts.log.warn("what the mesh says cannot be kept for a restart", { problem });
    }
  }
}
