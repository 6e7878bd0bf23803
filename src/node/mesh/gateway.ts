/** A node from a config file that may be in a mesh too: its `mesh` block says in which. */
import type { OpenPrivateFolder } from "../../machine.ts";
import type { MeshMembership, Problem, Snapshot } from "../../snapshot.ts";
import { plainProblem } from "../addresses.ts";
import type { ConfigSource } from "../config-source.ts";
import type { Membership } from "../membership.ts";
import type { Reading } from "../readings.ts";
import type { Loaded } from "../reloads.ts";
import type { Registry } from "../service-watch/registry.ts";
import { type Coordinator, faultText } from "./coordinator.ts";
import type { FindToken } from "./credentials-keeper.ts";
import { gatewaySnapshot, registeredServices } from "./gateway-snapshot.ts";
import { type Known, LiveDocument } from "./live-document.ts";
import { type MemberParts, MeshMember } from "./mesh-member.ts";
import type { MeshStatus } from "./mesh-status.ts";
import { openState } from "./open-state.ts";
import { withOthers } from "./used-services.ts";

export interface GatewayParts extends Omit<MemberParts, "coordinator"> {
  readonly openFolder: OpenPrivateFolder;
  client(coordinators: readonly string[]): Coordinator;
  tokenOf(tokenFile: string | null): FindToken;
  /** What it logs looks from now on as the file wants. */
  configureLog(settings: Snapshot["log"]): void;
}

/** A coordinator that does not answer holds no gateway up. */
const leaveMs = 1_000;
/** Stands in a reading beside the names of files. */
const meshPart = "mesh:";

export class Gateway implements ConfigSource, Membership {
  readonly registry: Registry;
  /** It has no instance that anybody of the mesh calls. */
  readonly inboundListener = null;
  readonly #parts: GatewayParts;
  readonly #file: ConfigSource;
  #joined: { readonly as: MeshMembership; readonly member: MeshMember } | null = null;
  /** Services of the mesh that the file named last. */
  #named: readonly string[] = [];
  readonly #live = new LiveDocument((version) => this.#joined?.member.lease.live(version));
  #state: "starting" | "running" | "closed" = "starting";
  #changed: () => void = () => {};
  /** Of the mesh, what was loaded last, or would have been but for what was refused. */
  #loadedFrom: string | null = null;

  constructor(parts: GatewayParts, file: ConfigSource) {
    this.#parts = parts;
    this.#file = file;
    this.registry = parts.registry;
  }

  get name(): string {
    return this.#file.name;
  }

  // ---- where the configuration comes from ----

  async load(version: number): Promise<Loaded> {
    const loaded = await this.#file.load(version);
    const { snapshot } = loaded;
    if (snapshot === null) return loaded;
    const problem = await this.#join(snapshot);
    if (problem !== null) return { ...loaded, snapshot: null, problems: [problem] };
    if (this.#joined === null) return loaded;
    const { member } = this.#joined;
    this.#named = registeredServices(snapshot);
    member.follow();
    const { own: credentials } = member;
    // Before rules are tried: what comes meanwhile is something else.
    this.#loadedFrom = inputs(member);
    const { knowledge, refused } = await member.settle();
    const made = inputs({ own: credentials, knowledge });
    this.#live.loaded(version, { document: knowledge?.version ?? 0, inputs: made });
    const files = new Map([...loaded.reading.files, [meshPart, made] as const]);
    return {
      ...loaded,
      snapshot: gatewaySnapshot({ file: snapshot, credentials, knowledge, refused }),
      reading: { files, folders: loaded.reading.folders },
    };
  }

  watch(changed: () => void): void {
    this.#changed = changed;
    this.#file.watch(changed);
    this.#state = "running";
  }

  async follow({ files, folders }: Reading): Promise<void> {
    const own = new Map([...files].filter(([name]) => name !== meshPart));
    await this.#file.follow({ files: own, folders });
    const member = this.#joined?.member;
    if (member !== undefined && this.#loadedFrom !== inputs(member)) this.#changed();
  }

  explained(problem: Problem): Problem {
    return this.#file.explained(problem);
  }

  unwatch(): void {
    this.#changed = () => {};
    this.#file.unwatch();
  }

  /** Null when it is where the file wants it. */
  async #join({ membership, services, log }: Snapshot): Promise<Problem | null> {
    const place = membership?.place ?? { file: this.name, line: 1 };
    if (this.#joined !== null || this.#state === "running") {
      const same = sameMembership(membership, this.#joined?.as ?? null);
      if (same) return null;
      return plainProblem("cannot change `mesh` while the node runs: start it anew", place, "mesh");
    }
    if (membership === null) return null;
    const { coordinators, service, stateFolder, tokenFile } = membership;
    this.#parts.configureLog(log);
    this.#named = registeredServices({ services });
    try {
      const folder = await openState(this.#parts.openFolder, stateFolder, "mesh.state");
      const member: MeshMember = await MeshMember.open(
        { ...this.#parts, coordinator: this.#parts.client(coordinators) },
        {
          service,
          plugins: "yes",
          folder,
          subscribed: (knowledge) => [service, ...withOthers(this.#named, knowledge)],
          changed: () => this.#changed(),
          unchanged: () => this.#live.heard(known(member)),
        },
      );
      this.#joined = { as: membership, member };
      await member.begin(this.#parts.tokenOf(tokenFile));
      if (this.#state === "closed") throw new Error("the node ends");
      return null;
    } catch (error) {
      const what = `${service} cannot join the mesh (state folder: ${stateFolder})`;
      return plainProblem(`${what}: ${faultText(error)}`, place, "mesh");
    }
  }

  // ---- its place in the mesh ----

  serves({ version }: Snapshot): void {
    const member = this.#joined?.member;
    if (member === undefined) return;
    member.served();
    this.#live.serves(version, known(member));
  }

  observed(): void {}

  /** Its routes name all that it calls. */
  async find(services: readonly string[]): Promise<readonly string[]> {
    return services;
  }

  status(): MeshStatus | null {
    return this.#joined?.member.status(this.#live.version, this.#joined.as.coordinators) ?? null;
  }

  problems(): readonly Problem[] {
    return this.#joined?.member.problems() ?? [];
  }

  warnings(): readonly string[] {
    return this.#joined?.member.warnings() ?? [];
  }

  notes(): readonly string[] {
    if (this.#joined === null) return [];
    const { identity, expiresEpochMs } = this.#joined.member.own;
    const ends = new Date(expiresEpochMs).toISOString();
    return [`identity ${identity}; its certificate ends at ${ends} and is renewed before`];
  }

  async leave(): Promise<"told" | "not told"> {
    const late = Promise.withResolvers<"not told">();
    const cancel = this.#parts.clock.after(leaveMs, () => late.resolve("not told"));
    const told = this.#joined?.member.lease.leave() ?? Promise.resolve("told" as const);
    const left = await Promise.race([told, late.promise]);
    cancel();
    return left;
  }

  /** It has no instances, and is listed with what holds for its requests. */
  async close(): Promise<void> {
    this.#state = "closed";
    await this.#joined?.member.close();
  }
}

/** Wherever in the file it stands. */
function sameMembership(left: MeshMembership | null, right: MeshMembership | null): boolean {
  const where = left?.place ?? right?.place;
  return (
    JSON.stringify(left && { ...left, place: where }) === JSON.stringify(right && { ...right, place: where })
  );
}

function known(member: MeshMember): Known {
  return { document: member.knowledge?.version ?? 0, inputs: () => inputs(member) };
}

/** All that a snapshot is made of beside the file. */
function inputs({ own, knowledge }: Pick<MeshMember, "own" | "knowledge">): string {
  const rules = Object.entries(knowledge?.services ?? {}).map(([name, known]) => [name, known.rules]);
  return JSON.stringify([own.certificate, knowledge?.mesh, rules]);
}
