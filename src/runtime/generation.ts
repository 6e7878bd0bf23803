/** One snapshot made live in this worker: what a request that arrives now is matched and served by. */

import type { Random, Sockets } from "../machine.ts";
import type { ListenerConfig, RouteConfig, Snapshot } from "../snapshot.ts";
import type { Log, Meters, RouteMeter } from "../types.ts";
import type { Chain, SendWrap } from "./chain.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Matcher } from "./match.ts";
import type { Service } from "./service.ts";
import type { WeightedTarget } from "./split.ts";
import type { ServerCertificates } from "./tls/server-certificates.ts";

/**
 * A route with everything that its requests need. What nearly all of them need stands in it, not in its config: with
 * thousands of routes every further object is one that the processor has to wait for.
 */
export interface LiveRoute {
  /** Null for requests that no route takes. */
  readonly config: RouteConfig | null;
  /** The `route` label; empty without a route. */
  readonly name: string;
  readonly meter: RouteMeter;
  /** Downstream filters; null when there are none, and Hono is not entered. */
  readonly chain: Chain | null;
  /** Upstream filters; null when there are none. */
  readonly wrap: SendWrap | null;
  /** Empty where no service answers. */
  readonly targets: readonly WeightedTarget[];
  /** Null without a route: as the listener's limits say. */
  readonly timeoutMs: number | null;
  /** Whether a `rewrite` stands beside its services. */
  readonly rewrites: "yes" | "no";
}

/** A listener's part of a generation. */
export interface LiveListener {
  readonly config: ListenerConfig;
  readonly generation: Generation;
  /** Null for a listener without TLS. */
  readonly certificates: ServerCertificates | null;
  readonly matcher: Matcher<LiveRoute>;
  /** Serves what no route takes: the listener's own filters see that too. */
  readonly unmatched: LiveRoute;
}

export interface GenerationParts {
  readonly sockets: Sockets;
  readonly deadlines: Deadlines;
  readonly random: Random;
  readonly meters: Meters;
  readonly log: Log;
  readonly pseudonym: string;
  /** The current time as HTTP writes it. */
  date(): string;
}

export class Generation {
  readonly listeners = new Map<string, LiveListener>();
  /** Requests that began in it and have not ended. */
  active = 0;
  #replaced = false;
  #retire: () => void = () => {};

  constructor(
    readonly snapshot: Snapshot,
    readonly services: ReadonlyMap<string, Service>,
    readonly parts: GenerationParts,
  ) {}

  addListener(listener: Omit<LiveListener, "generation">): void {
    this.listeners.set(listener.config.name, { ...listener, generation: this });
  }

  enter(): void {
    this.active++;
  }

  leave(): void {
    this.active--;
    if (this.#replaced && this.active === 0) this.#retire();
  }

  /** A newer one serves; `retire` runs when the last request of this one ended. */
  replace(retire: () => void): void {
    this.#replaced = true;
    this.#retire = retire;
    if (this.active === 0) retire();
  }
}
