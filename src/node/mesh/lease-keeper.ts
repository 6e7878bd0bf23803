/** Tells the coordinator again and again that this node lives and which instances it has, so that it goes on to count on them. */
import type { Clock, Random } from "../../machine.ts";
import type { Instance, LeaseAnswer, LeaseRequest } from "../../mesh.ts";
import type { Log } from "../../types.ts";
import { Backoff } from "./backoff.ts";
import { faultText } from "./coordinator.ts";
import { Outage } from "./outage.ts";

export interface LeaseParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly node: string;
  lease(request: LeaseRequest): Promise<LeaseAnswer>;
}

/** Until a coordinator says otherwise. */
const renewEveryMs = 3_000;
/** Whatever a coordinator says. */
const renewEveryMsMin = 100;
const retryMs = { first: 250, max: 3_000 };
/** Versions that follow each other sooner are told together. */
const versionGapMs = 200;

export class LeaseKeeper {
  readonly #parts: LeaseParts;
  readonly #backoff: Backoff;
  readonly #outage: Outage;
  #instances: readonly Instance[] = [];
  #everyMs = renewEveryMs;
  #cancelTimer: () => void = () => {};
  #telling: Promise<void> | null = null;
  /** The coordinator was told of these, by the last call that went well. */
  #told: readonly Instance[] | null = null;
  #version: number | null = null;
  #toldAtMs = -Infinity;
  #toldAtEpochMs: number | null = null;
  #failing: "yes" | "no" = "no";
  #leaving: "yes" | "no" = "no";
  #closed = false;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.random, retryMs.first, retryMs.max);
    this.#outage = new Outage(parts.clock, parts.log, "renewing the lease of this node");
  }

  warning(): string | null {
    return this.#outage.warning();
  }

  /** When the coordinator last heard of it; null before it did. */
  get toldAtEpochMs(): number | null {
    return this.#toldAtEpochMs;
  }

  /** From now on these. Resolves when the coordinator knows them, or when one try to tell it failed. */
  async put(instances: readonly Instance[]): Promise<"told" | "not told"> {
    return this.#leaving === "yes" ? "not told" : this.#put(instances);
  }

  async #put(instances: readonly Instance[]): Promise<"told" | "not told"> {
    this.#instances = instances;
    // What is under way may say what was before.
    await this.#telling;
    if (!this.#knows(instances) || this.#leaving === "yes") await this.#tell();
    return this.#knows(instances) ? "told" : "not told";
  }

  /** This version of the mesh document holds for the node's requests from now on. */
  live(version: number): void {
    if (version === this.#version || this.#leaving === "yes") return;
    this.#version = version;
    // The next try tells this too.
    if (this.#failing === "yes") return;
    const { clock } = this.#parts;
    this.#again(clock, Math.max(0, this.#toldAtMs + versionGapMs - clock.now()));
  }

  /** It has no instance any more, and goes: nothing that is put later is told. Resolves like `put`. */
  leave(): Promise<"told" | "not told"> {
    this.#version = null;
    this.#leaving = "yes";
    return this.#put([]);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #knows(instances: readonly Instance[]): boolean {
    return this.#told !== null && JSON.stringify(this.#told) === JSON.stringify(instances);
  }

  #tell(): Promise<void> {
    this.#cancelTimer();
    this.#telling ??= this.#tellOnce().finally(() => {
      this.#telling = null;
    });
    return this.#telling;
  }

  async #tellOnce(): Promise<void> {
    if (this.#closed) return;
    const { clock, node, lease } = this.#parts;
    const instances = this.#instances;
    const version = this.#version;
    try {
      const answer = await lease({ node, instances, ...(version === null ? {} : { version }) });
      this.#told = instances;
      this.#toldAtMs = clock.now();
      this.#toldAtEpochMs = clock.epochMs();
      this.#failing = "no";
      this.#everyMs = Math.max(renewEveryMsMin, answer.renewEveryMs);
      this.#backoff.succeeded();
      this.#outage.worked();
      this.#again(clock, version === this.#version ? this.#everyMs : versionGapMs);
    } catch (error) {
      // After a while without it nothing is known there any more.
      this.#told = null;
      this.#failing = "yes";
      this.#outage.failed(faultText(error));
      this.#again(clock, this.#backoff.nextMs());
    }
  }

  #again(clock: Clock, delayMs: number): void {
    if (this.#closed) return;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(delayMs, () => void this.#tell());
  }
}
