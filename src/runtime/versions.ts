/** A service's endpoints by the version of what runs there, each version picked from as if it were a service. */
import type { ServiceConfig } from "../snapshot.ts";
import { pickInstead, pickUntried } from "./balance/further-picks.ts";
import type { KeyedRequest, PolicyParts } from "./balance/policy.ts";
import { type Selection, Selector } from "./balance/selection.ts";
import type { Candidates, Endpoint, Waiter } from "./endpoint.ts";

export interface VersionParts extends PolicyParts {
  readonly config: ServiceConfig;
  readonly zone: string | null;
}

export class VersionCandidates implements Candidates {
  readonly #version: string;
  readonly #parts: VersionParts;
  readonly #selector: Selector<Endpoint>;
  #selection: Selection<Endpoint>;
  #members: readonly Endpoint[] = [];
  /** Of the service, whatever their version. */
  #all = 0;

  constructor(version: string, parts: VersionParts) {
    this.#version = version;
    this.#parts = parts;
    this.#selector = new Selector(parts.config, parts.zone, parts);
    this.#selection = this.#selector.select([]);
  }

  get size(): number {
    return this.#members.length;
  }

  /** Whether one of them is well, and has a weight. */
  get isWell(): boolean {
    return this.#selection.well > 0;
  }

  get emptiness(): string {
    if (this.#all === 0) return "it has no endpoint";
    const version = `version ${this.#version}`;
    if (this.size === 0) return `none of its ${this.#all} endpoints has ${version}`;
    return `none of its ${this.size} endpoints of ${version} is well`;
  }

  select(endpoints: readonly Endpoint[]): void {
    this.#all = endpoints.length;
    this.#members = endpoints.filter(({ version }) => version === this.#version);
    this.#selection = this.#selector.select(this.#members);
  }

  pick(tried: readonly Endpoint[], request: KeyedRequest): Endpoint | null {
    return pickUntried(this.#selection, tried, request);
  }

  pickInstead(unreachable: readonly Endpoint[], waiter: Waiter): Endpoint | null {
    return pickInstead(this.#selection, { tried: waiter.tried, unreachable }, waiter);
  }

  accepts({ version, standing }: Endpoint): boolean {
    if (version !== this.#version) return false;
    return this.#selection.panic === "yes" || standing.isWell(this.#parts.clock.now());
  }
}

/** Those versions that somebody asked for, so that a service whose versions do not matter pays for none. */
export class Versions {
  readonly #parts: VersionParts;
  readonly #known = new Map<string, VersionCandidates>();
  #endpoints: readonly Endpoint[] = [];

  constructor(parts: VersionParts) {
    this.#parts = parts;
  }

  /** One that no endpoint has is not kept: a filter may take its name from a request. */
  of(version: string): VersionCandidates {
    const known = this.#known.get(version);
    if (known !== undefined) return known;
    const made = new VersionCandidates(version, this.#parts);
    made.select(this.#endpoints);
    if (made.size > 0) this.#known.set(version, made);
    return made;
  }

  /** To be called whenever an endpoint comes, goes, or does well or badly. */
  select(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    for (const [version, candidates] of this.#known) {
      candidates.select(endpoints);
      if (candidates.size === 0) this.#known.delete(version);
    }
  }
}
