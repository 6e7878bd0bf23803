/** One snapshot made live in this worker: what a request that arrives now is matched and served by. */

import type { Random, Sockets } from "../machine.ts";
import type { ListenerConfig, Snapshot } from "../snapshot.ts";
import type { Log, Meters } from "../types.ts";
import type { Deadlines } from "./deadlines.ts";
import type { LiveRoute } from "./live-route.ts";
import type { Matcher } from "./match.ts";
import type { ForwardProxy } from "./proxy/forward-proxy.ts";
import type { Service } from "./service.ts";
import type { MeshCallers } from "./tls/mesh-callers.ts";
import type { ServerCertificates } from "./tls/server-certificates.ts";

/** A listener's part of a generation. */
export interface LiveListener {
  readonly config: ListenerConfig;
  readonly generation: Generation;
  /** What Via calls it. */
  readonly pseudonym: string;
  /** Null for a listener without TLS. */
  readonly certificates: ServerCertificates | null;
  /** Null where it is enough to be believed, or nothing is asked. */
  readonly callers: MeshCallers | null;
  /** Whether any filter, of its own or of a route, says what may go on. */
  readonly reviews: "yes" | "no";
  readonly matcher: Matcher<LiveRoute>;
  /** Null unless it is its callers' proxy. */
  readonly proxy: ForwardProxy | null;
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
  epochMs(): number;
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
