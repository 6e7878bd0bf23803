/** A sidecar: where its configuration comes from, and its place in the mesh. */
import type { Address, OpenPrivateFolder } from "../../machine.ts";
import type { Instance } from "../../mesh.ts";
import type { CheckedService, Probe } from "../../runtime/probe.ts";
import type { Problem, ServiceState, Snapshot } from "../../snapshot.ts";
import { addressText, plainProblem } from "../addresses.ts";
import type { ConfigSource } from "../config-source.ts";
import type { Membership } from "../membership.ts";
import type { Loaded } from "../reloads.ts";
import { AppWatch } from "./app-watch.ts";
import { AskedServices } from "./asked-services.ts";
import { faultText } from "./coordinator.ts";
import type { FindToken } from "./credentials-keeper.ts";
import { type Known, LiveDocument } from "./live-document.ts";
import { type MemberParts, MeshMember } from "./mesh-member.ts";
import type { MeshStatus } from "./mesh-status.ts";
import { ruleState } from "./mesh-view.ts";
import { openState } from "./open-state.ts";
import { Outage } from "./outage.ts";
import type { SettledRules } from "./settled-rules.ts";
import {
  appName,
  inboundName,
  notInDocument,
  type SidecarRole,
  sidecarSnapshot,
  subscribed,
} from "./sidecar-snapshot.ts";

export interface SidecarParts extends MemberParts {
  readonly openFolder: OpenPrivateFolder;
  readonly probe: Probe;
  /** The address of this machine under which others reach it when it listens on all of them, `0.0.0.0` or `::`. */
  ownAddress(listensOn: string): Promise<string>;
  readonly findToken: FindToken;
}

export interface SidecarOptions {
  readonly role: SidecarRole;
  readonly coordinators: readonly string[];
  /** The state folder. */
  readonly state: string;
  /** Whether code that the mesh document brings is run. */
  readonly plugins: "yes" | "no";
  readonly version: string | null;
  /** Where callers reach its inbound listener, when that is not where it listens. */
  readonly advertised: { readonly host: string; readonly port: number } | null;
}

/** The coordinator answers when all callers were told, or after a second; one that takes longer is away. */
export const tellMsMax = 2_000;
const farewellMs = 1_000;
/** Until it is asked again from which address of this machine the others reach it. */
const addressRetryMs = 1_000;

/** What gives the addresses of its listeners. */
const flags: readonly (readonly [path: RegExp, flag: string])[] = [
  [/^listeners\.inbound\./, "--inbound HOST:PORT"],
  [/^listeners\.outbound\./, "--outbound HOST:PORT"],
  [/^listeners\.upstream-/, "--upstream SERVICE=HOST:PORT"],
  [/^admin$/, "--admin HOST:PORT"],
];

export class Sidecar implements ConfigSource, Membership {
  readonly name: string;
  readonly registry: MemberParts["registry"];
  readonly #parts: SidecarParts;
  readonly #options: SidecarOptions;
  readonly #appWatch: AppWatch;
  #member: MeshMember | null = null;
  #app: "answers" | "awaited" = "awaited";
  #appState: "healthy" | "unhealthy" = "healthy";
  readonly #asked: AskedServices;
  #inbound: Address | null = null;
  /** Where callers reach it, as last found out. */
  #reachedAt: Address | null = null;
  readonly #addressOutage: Outage;
  #cancelRetry: () => void = () => {};
  readonly #live = new LiveDocument((version) => this.#member?.lease.live(version));
  #changed: () => void = () => {};
  /** What the snapshot was made of that was loaded last, or would have been but for what was refused. */
  #loadedFrom: string | null = null;
  #phase: "serving" | "leaving" | "closed" = "serving";

  constructor(parts: SidecarParts, options: SidecarOptions) {
    this.#parts = parts;
    this.#options = options;
    this.registry = parts.registry;
    this.name = `the sidecar of ${options.role.service}`;
    this.#appWatch = new AppWatch(parts.clock, parts.probe);
    this.#addressOutage = new Outage(parts.clock, parts.log, "finding this node's own address");
    this.#asked = new AskedServices({
      clock: parts.clock,
      knowledge: () => this.#member?.knowledge ?? null,
      follow: () => this.#member?.follow(),
    });
  }

  // ---- where the configuration comes from ----

  async load(version: number): Promise<Loaded> {
    try {
      const member = this.#member ?? (await this.#join());
      if (this.#phase !== "serving") throw new Error("the node ends");
      // Before rules are tried: what comes meanwhile is something else.
      this.#loadedFrom = this.#inputs(member);
      return this.#loaded(member, version, await member.settle());
    } catch (error) {
      const place = { file: this.name, line: 1 };
      const problems = [plainProblem(faultText(error), place)];
      return { snapshot: null, problems, resolved: null, reading: { files: new Map(), folders: new Map() } };
    }
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  /** Whatever happened between a load and its coming live is looked at once more. */
  async follow(): Promise<void> {
    if (this.#member !== null && this.#loadedFrom !== this.#inputs(this.#member)) this.#changed();
  }

  explained(problem: Problem): Problem {
    const flag = flags.find(([path]) => path.test(problem.path))?.[1];
    if (flag === undefined) return problem;
    return { ...problem, path: "", message: `${problem.message}; choose another with ${flag}` };
  }

  unwatch(): void {
    this.#changed = () => {};
  }

  async #join(): Promise<MeshMember> {
    const { role, state } = this.#options;
    const folder = await openState(this.#parts.openFolder, state, "--state");
    const member = await MeshMember.open(this.#parts, {
      service: role.service,
      plugins: this.#options.plugins,
      folder,
      subscribed: (knowledge) => {
        const { own, called } = subscribed({ role, wanted: this.#asked.subscribed, knowledge });
        return [own, ...called];
      },
      changed: () => {
        this.#asked.heard();
        this.#changed();
      },
      unchanged: () => this.#live.heard(this.#known(member)),
    });
    this.#member = member;
    this.#asked.restore(
      Object.keys(member.knowledge?.services ?? {}).filter((name) => name !== role.service),
    );
    try {
      await member.begin(this.#parts.findToken);
    } catch (error) {
      throw new Error(`${role.service} cannot join the mesh (state folder: ${state}): ${faultText(error)}`);
    }
    return member;
  }

  #loaded(member: MeshMember, version: number, { knowledge, refused }: SettledRules): Loaded {
    const { role } = this.#options;
    const { own: credentials } = member;
    const snapshot = sidecarSnapshot({
      ...{ version, role, credentials, knowledge, refused },
      wanted: this.#asked.used,
      app: this.#app,
    });
    const resolved = {
      sidecar: role.service,
      identity: credentials.identity,
      certificateEnds: new Date(credentials.expiresEpochMs).toISOString(),
      document: knowledge?.version ?? null,
    };
    const inputs = this.#inputs({ own: credentials, knowledge });
    const reading = { files: new Map([[this.name, inputs]]), folders: new Map() };
    this.#live.loaded(version, { document: knowledge?.version ?? 0, inputs });
    return { snapshot, problems: [], resolved, reading };
  }

  #known(member: MeshMember): Known {
    return { document: member.knowledge?.version ?? 0, inputs: () => this.#inputs(member) };
  }

  /** All that a snapshot is made of. Where services are is none of it. */
  #inputs({ own, knowledge }: Pick<MeshMember, "own" | "knowledge">): string {
    const rules = Object.entries(knowledge?.services ?? {}).map(([name, known]) => [name, known.rules]);
    return JSON.stringify([own.certificate, knowledge?.mesh, rules, this.#asked.used, this.#app]);
  }

  // ---- its place in the mesh ----

  serves({ version, listeners, services }: Snapshot): void {
    this.#member!.served();
    this.#live.serves(version, this.#known(this.#member!));
    const first = this.#inbound === null;
    this.#inbound = listeners.find(({ name }) => name === inboundName)!.bind;
    if (!first) return;
    const { role } = this.#options;
    const app = services.find(({ name }) => name === appName(role.service))!;
    const healthCheck = {
      path: null,
      host: null,
      intervalMs: 1_000,
      timeoutMs: 1_000,
      healthy: 1,
      unhealthy: 1,
    };
    const checked: CheckedService = { ...app, healthCheck };
    this.#appWatch.begin(checked, role.app, () => {
      this.#parts.log.info("the app answers", { app: addressText(role.app) });
      this.#app = "answers";
      this.#changed();
      void this.#register();
    });
  }

  observed(states: readonly ServiceState[]): void {
    const state = states.find(({ service }) => service === appName(this.#options.role.service));
    const now = (state?.unhealthy.length ?? 0) > 0 ? "unhealthy" : "healthy";
    if (now === this.#appState) return;
    this.#appState = now;
    if (this.#app === "answers") void this.#register();
  }

  async find(services: readonly string[]): Promise<readonly string[]> {
    const missing = await this.#asked.find(services);
    this.#changed();
    return missing;
  }

  status(): MeshStatus | null {
    // It joins before the node serves anything, admin too.
    return this.#member?.status(this.#live.version, this.#options.coordinators) ?? null;
  }

  problems(): readonly Problem[] {
    return this.#member?.problems() ?? [];
  }

  warnings(): readonly string[] {
    const { app } = this.#options.role;
    const waits = this.#app === "awaited" ? [`the app at ${addressText(app)} has not answered yet`] : [];
    const unknown = this.#addressOutage.warning();
    return [
      ...waits,
      ...this.#missing(),
      ...(unknown === null ? [] : [unknown]),
      ...(this.#member?.warnings() ?? []),
    ];
  }

  /** Services that its command line names, and the mesh document has not. */
  #missing(): readonly string[] {
    const { service, upstreams } = this.#options.role;
    const knowledge = this.#member?.knowledge ?? null;
    const named = [
      ["--service", service],
      ...upstreams.map((upstream) => ["--upstream", upstream.service] as const),
    ] as const;
    return named
      .filter(([, name]) => ruleState(knowledge, name) === "missing")
      .map(([flag, name]) => `${flag} ${name}: ${notInDocument(name)}`);
  }

  notes(): readonly string[] {
    const { identity, expiresEpochMs } = this.#member!.own;
    const ends = new Date(expiresEpochMs).toISOString();
    return [
      `identity ${identity}; its certificate ends at ${ends} and is renewed before`,
      `app at ${addressText(this.#options.role.app)}; state in ${this.#options.state}`,
    ];
  }

  /** An app that never answered was never registered. */
  get inboundListener(): string | null {
    return this.#app === "answers" ? inboundName : null;
  }

  async leave(timeoutMs: number): Promise<"told" | "not told"> {
    this.#phase = "leaving";
    this.#appWatch.close();
    if (this.inboundListener === null) return "told";
    const late = Promise.withResolvers<"not told">();
    const waitMs = Math.min(timeoutMs, tellMsMax);
    const cancel = this.#parts.clock.after(waitMs, () => late.resolve("not told"));
    const callers = await Promise.race([this.#register(), late.promise]);
    cancel();
    return callers;
  }

  async #register(): Promise<"told" | "not told"> {
    const member = this.#member;
    const address = await this.#address();
    if (member === null || address === null || this.#phase === "closed") return "not told";
    const { role, version } = this.#options;
    const state = this.#phase === "leaving" ? "draining" : this.#appState;
    const instance: Instance = {
      id: member.nodeId,
      service: role.service,
      address,
      version,
      zone: role.zone,
      weight: 1,
      state,
    };
    return member.lease.put([instance]);
  }

  /** Null while the machine does not know: names are not resolved yet, or there is no way to the coordinator. */
  async #address(): Promise<Address | null> {
    const { advertised } = this.#options;
    const bound = this.#inbound!;
    if (advertised !== null || "unixPath" in bound) return advertised ?? bound;
    if (bound.host !== "0.0.0.0" && bound.host !== "::") return bound;
    this.#cancelRetry();
    try {
      this.#reachedAt = { host: await this.#parts.ownAddress(bound.host), port: bound.port };
      this.#addressOutage.worked();
    } catch (error) {
      this.#addressOutage.failed(faultText(error));
      this.#cancelRetry();
      if (this.#phase === "serving")
        this.#cancelRetry = this.#parts.clock.after(addressRetryMs, () => void this.#register());
    }
    return this.#reachedAt;
  }

  async close(): Promise<void> {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#appWatch.close();
    this.#cancelRetry();
    const member = this.#member;
    if (member === null) return;
    if (this.#app === "answers") {
      const late = new Promise<void>((resolve) => this.#parts.clock.after(farewellMs, resolve));
      await Promise.race([member.lease.leave(), late]);
    }
    await member.close();
  }
}
