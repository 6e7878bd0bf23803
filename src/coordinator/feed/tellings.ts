/** Who waits until all nodes that use a service were sent what became of it: its own node, before it refuses anybody. */
import type { Clock } from "../../machine.ts";
import type { Follower, Topic } from "./topic.ts";

/** A node that does not read holds nobody up for longer. */
export const toldMsMax = 1_000;

interface Telling {
  /** Null while what happened is still gathered. */
  untold: Set<Follower> | null;
  readonly waiting: Set<() => void>;
}

export class Tellings {
  readonly #clock: Clock;
  /** One for each service that somebody waits for, however many wait. */
  readonly #tellings = new Map<Topic, Telling>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `gathered`: the topic's followers are woken later, and `sent` says so. Resolves after `toldMsMax` in any case. */
  wait(topic: Topic, state: "gathered" | "sent"): Promise<void> {
    return new Promise((resolve) => {
      const telling = this.#tellings.get(topic) ?? { untold: null, waiting: new Set() };
      this.#tellings.set(topic, telling);
      const settle = () => {
        cancel();
        telling.waiting.delete(settle);
        if (telling.waiting.size === 0) this.#tellings.delete(topic);
        resolve();
      };
      const cancel = this.#clock.after(toldMsMax, settle);
      telling.waiting.add(settle);
      // Of what went out before, whoever waited already waits no longer than he may.
      if (state === "gathered") telling.untold = null;
      else this.sent(topic);
    });
  }

  /** The topic's followers were woken: they take it now, or when they read on. */
  sent(topic: Topic): void {
    const telling = this.#tellings.get(topic);
    if (telling === undefined) return;
    telling.untold = new Set([...topic.followers].filter((follower) => follower.lacks(topic)));
    settled(telling);
  }

  /** It reads on, or is gone. */
  heard(follower: Follower): void {
    for (const [topic, telling] of this.#tellings) {
      if (telling.untold?.has(follower) !== true || follower.lacks(topic)) continue;
      telling.untold.delete(follower);
      settled(telling);
    }
  }

  close(): void {
    for (const { waiting } of [...this.#tellings.values()]) for (const settle of [...waiting]) settle();
  }
}

function settled({ untold, waiting }: Telling): void {
  if (untold?.size === 0) for (const settle of [...waiting]) settle();
}
