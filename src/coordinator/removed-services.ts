/**
 * Services that a mesh document no longer has. Their certificates hold for up to a day more, so everybody is told to refuse
 * them until the last one has ended. Removing a service from the document is what removes it, and putting it back what
 * brings it back; there is no other way.
 */
import type { Clock } from "../machine.ts";
import type { DocumentVersion } from "../mesh.ts";
import type { Log } from "../types.ts";
import { leafMs } from "./identity/authority.ts";
import type { Store } from "./store/store.ts";

export interface RemovedServicesParts {
  readonly store: Pick<
    Store,
    "listRemovedServices" | "putRemovedService" | "deleteRemovedService" | "listIssuedCertificates"
  >;
  readonly clock: Clock;
  readonly log: Log;
}

type Named = Pick<DocumentVersion, "config">;

export class RemovedServices {
  readonly #parts: RemovedServicesParts;
  readonly #untilEpochMs = new Map<string, number>();

  constructor(parts: RemovedServicesParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const { store, clock } = this.#parts;
    for (const { service, untilEpochMs } of await store.listRemovedServices(clock.epochMs())) {
      this.#untilEpochMs.set(service, untilEpochMs);
    }
  }

  has(service: string): boolean {
    return (this.#untilEpochMs.get(service) ?? 0) > this.#parts.clock.epochMs();
  }

  /** By name. */
  names(): readonly string[] {
    return [...this.#untilEpochMs.keys()].filter((service) => this.has(service)).sort();
  }

  /** Holds when it returns; the promise is for the store. Returns who was removed just now. */
  documentChanged(before: Named | null, after: Named): { removed: readonly string[]; stored: Promise<void> } {
    const { clock } = this.#parts;
    const now = new Set(after.config.services.map(({ name }) => name));
    const back = [...this.#untilEpochMs.keys()].filter((service) => now.has(service));
    for (const service of back) this.#untilEpochMs.delete(service);
    const gone = (before?.config.services ?? []).map(({ name }) => name).filter((name) => !now.has(name));
    const removed = gone.filter((service) => !this.has(service));
    // No certificate of today outlives this, whether it was recorded or not.
    for (const service of removed) this.#untilEpochMs.set(service, clock.epochMs() + leafMs);
    return { removed, stored: this.#store(back, removed) };
  }

  async #store(back: readonly string[], removed: readonly string[]): Promise<void> {
    const { store, clock, log } = this.#parts;
    try {
      for (const service of back) await store.deleteRemovedService(service);
      if (removed.length === 0) return;
      const nowEpochMs = clock.epochMs();
      const issued = await store.listIssuedCertificates(nowEpochMs);
      for (const service of removed) {
        // Of a clock that was ahead.
        const ends = issued
          .filter(({ identity }) => identity.endsWith(`/${service}`))
          .map((one) => one.expiresEpochMs);
        const untilEpochMs = Math.max(nowEpochMs + leafMs, ...ends);
        // Back meanwhile.
        if (!this.#untilEpochMs.has(service)) continue;
        this.#untilEpochMs.set(service, untilEpochMs);
        await store.putRemovedService({ service, untilEpochMs }, nowEpochMs);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.error("removed services are refused until the coordinator ends: the store did not take them", {
        why,
      });
    }
  }
}
