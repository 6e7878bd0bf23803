/** Keeps a feed of the mesh open: when it ends, breaks or falls silent, a new one goes on from what is known. */
import type { Clock, Random } from "../../machine.ts";
import type { FeedRequest } from "../../mesh.ts";
import type { Log } from "../../types.ts";
import { Backoff } from "./backoff.ts";
import { faultText, type OpenFeed } from "./coordinator.ts";
import type { MeshChange, MeshView } from "./mesh-view.ts";
import { Outage } from "./outage.ts";

export interface FeedReaderParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly node: string;
  readonly view: MeshView;
  open(request: FeedRequest): Promise<OpenFeed>;
  /** At each `live`. */
  changed(change: MeshChange): void;
}

/** Three beats that did not come: whoever was there is not there any more. */
export const feedSilenceMs = 15_000;
const retryMs = { first: 100, max: 5_000 };

export class FeedReader {
  readonly #parts: FeedReaderParts;
  readonly #backoff: Backoff;
  readonly #outage: Outage;
  #services: readonly string[] = [];
  #feed: OpenFeed | null = null;
  /** Of the newest connection; an older one is heard no more. */
  #connection = 0;
  #cancelTimer: () => void = () => {};
  #closed = false;
  #live: "yes" | "no" = "no";

  constructor(parts: FeedReaderParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.random, retryMs.first, retryMs.max);
    this.#outage = new Outage(parts.clock, parts.log, "the feed of the mesh");
  }

  warning(): string | null {
    return this.#outage.warning();
  }

  /** Whether this connection said all that there was, and stands. */
  get connected(): boolean {
    return this.#live === "yes";
  }

  /** From now on of these services. */
  follow(services: readonly string[]): void {
    const wanted = [...new Set(services)].sort();
    if (this.#connection > 0 && wanted.join() === this.#services.join()) return;
    this.#services = wanted;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#connection++;
    this.#cancelTimer();
    this.#feed?.close();
  }

  #connect(): void {
    if (this.#closed) return;
    this.#cancelTimer();
    this.#feed?.close();
    this.#feed = null;
    this.#live = "no";
    void this.#read(++this.#connection);
  }

  async #read(connection: number): Promise<void> {
    const { node, view, open } = this.#parts;
    const services = this.#services;
    // A coordinator ends a feed now and then, so that its node shows its certificate anew.
    let problem: string | null = null;
    let live = false;
    try {
      this.#watchSilence(connection);
      const feed = await open({ node, services, known: view.reconnecting(services) });
      if (connection !== this.#connection) {
        feed.close();
        return;
      }
      this.#feed = feed;
      for await (const message of feed.messages) {
        if (connection !== this.#connection) return;
        this.#watchSilence(connection);
        const change = view.take(message);
        if (change === null) continue;
        live = true;
        this.#live = "yes";
        this.#backoff.succeeded();
        this.#outage.worked();
        this.#parts.changed(change);
      }
    } catch (error) {
      problem = faultText(error);
    }
    this.#lost(connection, problem ?? (live ? null : "it ended before it said anything"));
  }

  #watchSilence(connection: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#parts.clock.after(feedSilenceMs, () =>
      this.#lost(connection, `nothing was heard of it for ${feedSilenceMs / 1000} s`),
    );
  }

  #lost(connection: number, problem: string | null): void {
    if (this.#closed || connection !== this.#connection) return;
    this.#connection++;
    this.#cancelTimer();
    this.#feed?.close();
    this.#feed = null;
    this.#live = "no";
    if (problem !== null) this.#outage.failed(problem);
    this.#cancelTimer = this.#parts.clock.after(this.#backoff.nextMs(), () => this.#connect());
  }
}
