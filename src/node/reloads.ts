/** From "something changed" to "the newest right configuration is live", one at a time. */

import type { Clock } from "../machine.ts";
import type { Held } from "../runtime/slices.ts";
import type { Problem, Snapshot } from "../snapshot.ts";
import { type Reading, sameContents } from "./readings.ts";

/** A configuration as read; the snapshot is null when there are problems. */
export interface Loaded {
  readonly snapshot: Snapshot | null;
  readonly problems: readonly Problem[];
  /** The whole config in its own grammar, without secrets: for people. */
  readonly resolved: unknown;
  readonly reading: Reading;
}

/** One without problems. */
export interface RightConfig extends Loaded {
  readonly snapshot: Snapshot;
}

export type Activation =
  | { readonly ok: true; readonly held: Held }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export interface Applied {
  readonly kind: "applied";
  readonly snapshot: Snapshot;
  readonly tookMs: number;
  readonly held: Held;
}

export type Outcome =
  | Applied
  | { readonly kind: "refused"; readonly problems: readonly Problem[] }
  /** After a refused one: the text of the live one is back. */
  | { readonly kind: "restored" };

export interface ReloadParts {
  readonly clock: Clock;
  load(version: number): Promise<Loaded>;
  /** Makes it live everywhere, or changes nothing and says why. */
  activate(config: RightConfig): Promise<Activation>;
  /** Every reading, right or wrong, so that the next change is measured against it. */
  onRead(reading: Reading): Promise<void>;
  onOutcome(outcome: Outcome): void;
  onError(error: unknown): void;
}

/** A change that no text asked for. It makes the snapshot of this version live, or leaves everything as it was. */
export type OtherChange = (version: number) => Promise<"live" | "unchanged">;

/** Of those that wait; a further one does not happen. */
const otherChangesMax = 64;

/** Whether a reload happens even when no text changed: a signal asks for one outright. */
export type ReloadCause = "changed" | "signal";

export class Reloads {
  readonly #parts: ReloadParts;
  #live: Reading;
  #version: number;
  #problems: readonly Problem[] = [];
  /** What was asked for while a reload ran: one more, however often. */
  #next: ReloadCause | null = null;
  readonly #others: OtherChange[] = [];
  #running: Promise<void> | null = null;
  #closed = false;

  constructor(parts: ReloadParts, live: { readonly reading: Reading; readonly version: number }) {
    this.#parts = parts;
    this.#live = live.reading;
    this.#version = live.version;
  }

  /** Of the last refused configuration; empty when the newest one is live. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  request(cause: ReloadCause): void {
    if (this.#closed) return;
    if (this.#next !== "signal") this.#next = cause;
    this.#start();
  }

  /** At once, or when the reload that runs has ended; before any other. */
  change(other: OtherChange): void {
    if (this.#closed || this.#others.length === otherChangesMax) return;
    this.#others.push(other);
    this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Waits for the one that runs; no other follows. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#next = null;
    this.#others.length = 0;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#others.length > 0 || this.#next !== null) {
      try {
        await this.#runNext();
      } catch (error) {
        this.#parts.onError(error);
      }
    }
  }

  async #runNext(): Promise<void> {
    const other = this.#others.shift();
    if (other !== undefined) {
      const version = this.#version + 1;
      if ((await other(version)) === "live") this.#version = version;
      return;
    }
    const cause = this.#next;
    this.#next = null;
    if (cause !== null) await this.#reload(cause);
  }

  async #reload(cause: ReloadCause): Promise<void> {
    const startMs = this.#parts.clock.now();
    const loaded = await this.#parts.load(this.#version + 1);
    const { snapshot, problems, reading } = loaded;
    await this.#parts.onRead(reading);
    if (cause === "changed" && sameContents(reading, this.#live)) {
      if (this.#problems.length > 0) this.#parts.onOutcome({ kind: "restored" });
      this.#problems = [];
      return;
    }
    if (snapshot === null) return this.#refused(problems);
    const activation = await this.#parts.activate({ ...loaded, snapshot });
    if (!activation.ok) return this.#refused(activation.problems);
    this.#problems = [];
    this.#live = reading;
    this.#version = snapshot.version;
    const tookMs = this.#parts.clock.now() - startMs;
    this.#parts.onOutcome({ kind: "applied", snapshot, tookMs, held: activation.held });
  }

  #refused(problems: readonly Problem[]): void {
    this.#problems = problems;
    this.#parts.onOutcome({ kind: "refused", problems });
  }
}
