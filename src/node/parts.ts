/**
 * A large snapshot on its way to a worker: cut into texts so short that the worker serves requests between two of them.
 * As one message, 10,000 routes hold it for a tenth of a second.
 */

import type { Clock } from "../machine.ts";
import { bothHeld, type Held, heldFor } from "../runtime/slices.ts";
import type { RouteConfig, ServiceConfig, Snapshot } from "../snapshot.ts";

/** A hundred are read in about a millisecond, and more than most configurations have. */
const entriesMax = 100;

/** Routes of one listener, by its place among the listeners; or services. */
type Part =
  | { readonly listener: number; readonly routes: readonly RouteConfig[] }
  | { readonly services: readonly ServiceConfig[] };

export interface CutSnapshot {
  /** JSON, to be sent before the rest, in this order. */
  readonly parts: readonly string[];
  /** The snapshot without what is in the parts. */
  readonly rest: Snapshot;
}

/** What a worker gets that is replaced, or that is one of several. */
const cutBefore = new WeakMap<Snapshot, CutSnapshot>();

export function cutSnapshot(snapshot: Snapshot): CutSnapshot {
  const known = cutBefore.get(snapshot);
  if (known !== undefined) return known;
  const parts: string[] = [];
  const cut = (part: Part) => void parts.push(JSON.stringify(part));
  const listeners = snapshot.listeners.map((listener, index) => {
    const { routes } = listener;
    for (let at = entriesMax; at < routes.length; at += entriesMax) {
      cut({ listener: index, routes: routes.slice(at, at + entriesMax) });
    }
    return { ...listener, routes: routes.slice(0, entriesMax) };
  });
  const { services } = snapshot;
  for (let at = entriesMax; at < services.length; at += entriesMax) {
    cut({ services: services.slice(at, at + entriesMax) });
  }
  const made = { parts, rest: { ...snapshot, listeners, services: services.slice(0, entriesMax) } };
  cutBefore.set(snapshot, made);
  return made;
}

/** The parts that a worker got so far. */
export class ReceivedParts {
  readonly #clock: Clock;
  #parts: Part[] = [];
  #held = heldFor(0);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns how many there are. */
  add(text: string): number {
    const startMs = this.#clock.now();
    const count = this.#parts.push(JSON.parse(text));
    this.#held = bothHeld(this.#held, heldFor(this.#clock.now() - startMs));
    return count;
  }

  /** The whole snapshot, and how long reading it took; nothing is kept of it here. */
  take(rest: Snapshot): { readonly snapshot: Snapshot; readonly held: Held } {
    const startMs = this.#clock.now();
    const snapshot = this.#whole(rest);
    const held = bothHeld(this.#held, heldFor(this.#clock.now() - startMs));
    this.#parts = [];
    this.#held = heldFor(0);
    return { snapshot, held };
  }

  #whole(rest: Snapshot): Snapshot {
    const routes = rest.listeners.map((listener) => [...listener.routes]);
    const services = [...rest.services];
    for (const part of this.#parts) {
      if ("services" in part) services.push(...part.services);
      else routes[part.listener]!.push(...part.routes);
    }
    const listeners = rest.listeners.map((listener, index) => ({ ...listener, routes: routes[index]! }));
    return { ...rest, listeners, services };
  }
}
