/**
 * Tells the store who is registered, and how well, a little later: a coordinator that starts again knows callers' endpoints
 * at once, and sends nobody to those that were unwell. What the store does not take is told again; nothing waits for it, as
 * every node says anew within a renewal what it has.
 */
import type { Clock } from "../../machine.ts";
import type { Instance } from "../../mesh.ts";
import type { Log } from "../../types.ts";
import type { InstancesChange, Store, StoredInstance } from "../store/store.ts";
import type { Registry, RegistryChange } from "./registry.ts";

/** What happens within this is one write. */
export const gatherMs = 100;
const retryMs = 5000;
/** Of one write: a database that is asked for more holds the coordinator up. */
const batchMax = 1000;
/** Nodes that one line of the log names. */
const namedMax = 10;

export interface KeeperParts {
  readonly store: Pick<Store, "changeInstances" | "listInstances">;
  readonly clock: Clock;
  readonly log: Log;
}

export class InstanceKeeper {
  readonly #parts: KeeperParts;
  readonly #registry: Registry;
  /** By id, as the store has it. */
  readonly #kept = new Map<string, string>();
  /** By id the service. */
  readonly #dirty = new Map<string, string>();
  #cancelTimer: (() => void) | null = null;
  #writing: Promise<void> | null = null;
  #failures = 0;
  #problem: string | null = null;

  constructor(parts: KeeperParts, registry: Registry) {
    this.#parts = parts;
    this.#registry = registry;
  }

  /** Why the store is not up to date; null when it is, or will be in a moment. */
  get problem(): string | null {
    return this.#problem;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Fills the registry with what the store has, as far as there is room; the store forgets the rest. */
  async load(): Promise<void> {
    const stored = await this.#parts.store.listInstances();
    for (const { node, instance } of stored) this.#kept.set(instance.id, keptText(node, instance));
    const left = this.#registry.load(stored);
    if (left.length === 0) return;
    // Whatever of it a node still has it says within a renewal, and then it is kept like all others.
    for (const { instance } of left) this.changed({ service: instance.service, ids: [instance.id] });
    const nodes = [...new Set(left.map(({ node, instance }) => `${instance.service}/${node}`))];
    this.#parts.log.warn("the store has more instances than there may be: some are left out", {
      instances: left.length,
      nodes: nodes.length,
      first: nodes.slice(0, namedMax).join(", "),
    });
  }

  changed({ service, ids }: RegistryChange): void {
    for (const id of ids) this.#dirty.set(id, service);
    if (this.#writing === null) this.#cancelTimer ??= this.#parts.clock.after(gatherMs, () => this.#write());
  }

  /** Writes what is to be written, if the store takes it. */
  async close(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = () => {};
    await this.#writing;
    await this.#writeAll();
  }

  #write(): void {
    this.#cancelTimer = null;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = null;
      if (this.#dirty.size === 0) return;
      const waitMs = this.#problem === null ? gatherMs : retryMs;
      this.#cancelTimer ??= this.#parts.clock.after(waitMs, () => this.#write());
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#dirty.size > 0) {
      const batch = [...this.#dirty].slice(0, batchMax);
      const change = this.#change(batch);
      for (const [id] of batch) this.#dirty.delete(id);
      try {
        if (change.put.length + change.removed.length > 0) await this.#parts.store.changeInstances(change);
      } catch (error) {
        for (const [id, service] of batch) if (!this.#dirty.has(id)) this.#dirty.set(id, service);
        this.#failed(error);
        return;
      }
      for (const { node, instance } of change.put) this.#kept.set(instance.id, keptText(node, instance));
      for (const id of change.removed) this.#kept.delete(id);
      this.#wentWell();
    }
  }

  #change(batch: readonly (readonly [id: string, service: string])[]): InstancesChange {
    const put: StoredInstance[] = [];
    const removed: string[] = [];
    for (const [id, service] of batch) {
      const registered = this.#registry.service(service)?.get(id);
      if (registered !== undefined) {
        const { node, instance } = registered;
        if (this.#kept.get(id) !== keptText(node, instance)) put.push({ node, instance });
      } else if (this.#kept.has(id)) removed.push(id);
    }
    return { put, removed };
  }

  #failed(error: unknown): void {
    this.#failures += 1;
    const why = error instanceof Error ? error.message : String(error);
    if (this.#problem === null) this.#parts.log.error("instances are not stored", { why });
    this.#problem = `instances are not stored: ${why}`;
  }

  #wentWell(): void {
    if (this.#problem !== null) this.#parts.log.info("instances are stored again");
    this.#problem = null;
  }
}

/** A renewal that says the same is no change, and most do. */
function keptText(node: string, instance: Instance): string {
  return JSON.stringify([node, instance]);
}
