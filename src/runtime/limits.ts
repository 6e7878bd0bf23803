/** Keyed limits as filters have them: what the node counts in the memory of its workers, in requests and milliseconds. */
import type { Clock } from "../machine.ts";
import type { Limit, LimitRules, Taken } from "../types.ts";
import { limitKeysMax, type NodeShare } from "./node-memory/index.ts";
import { type Bucket, LimitTable, slotBytes } from "./node-memory/limit-table.ts";
import { type TextHash, textHash } from "./node-memory/text-hash.ts";

/** Slots of the table of a worker that counts for itself. */
const ownSlots = 4096;
/** A request more or less than that is what doubles are wrong by. */
const rounding = 1e-6;

export type LimitShare = Pick<NodeShare, "limits" | "hash" | "startMs">;

export interface LimitName {
  /** Limits of the same name and rules have one table. */
  readonly table: string;
  /** In the table, each scope has keys of its own. */
  readonly scope: string;
}

export interface LimitParts {
  readonly share: LimitShare;
  readonly clock: Clock;
  /** Told of each key that was given up while it still owed. */
  dropped(): void;
}

export interface LeasedLimit {
  readonly limit: Limit;
  /** False when the node has no room: then this worker counts for itself. */
  readonly shared: boolean;
  giveBack(): void;
}

/** Throws an Error when the rules cannot be kept. */
export function leaseLimit(parts: LimitParts, { table, scope }: LimitName, rules: LimitRules): LeasedLimit {
  checkRules(rules);
  const name = `${table} ${[rules.requests, rules.perMs, rules.burst, rules.keys].join("/")}`;
  const lease = parts.share.limits(name, rules.keys);
  const counted = lease?.value ?? new LimitTable(new Uint8Array(ownSlots * slotBytes));
  return {
    limit: new CountedLimit(parts, { table: counted, seed: parts.share.hash(`${scope} ${name}`), rules }),
    shared: lease !== null,
    giveBack: () => lease?.giveBack(),
  };
}

function checkRules(rules: LimitRules): void {
  const fault = (wanted: string) => new Error(`cannot limit by ${JSON.stringify(rules)}: wanted ${wanted}`);
  const { requests, perMs, burst, keys } = rules;
  for (const [name, value] of Object.entries({ requests, burst, keys })) {
    if (!Number.isInteger(value) || value < 1) throw fault(`${name} to be a whole number from 1 on`);
  }
  if (!(perMs > 0 && Number.isFinite(perMs))) throw fault("perMs above 0");
  if (keys > limitKeysMax) throw fault(`at most ${limitKeysMax} keys`);
}

interface Counted {
  readonly table: LimitTable;
  readonly seed: TextHash;
  readonly rules: LimitRules;
}

class CountedLimit implements Limit {
  readonly #parts: LimitParts;
  readonly #table: LimitTable;
  readonly #seed: TextHash;
  readonly #bucket: Bucket;
  readonly #startMs: number;

  constructor(parts: LimitParts, { table, seed, rules }: Counted) {
    this.#parts = parts;
    this.#table = table;
    this.#seed = seed;
    const intervalMs = rules.perMs / rules.requests;
    this.#bucket = { intervalMs, capacityMs: intervalMs * rules.burst };
    this.#startMs = parts.share.startMs(Math.floor(parts.clock.epochMs()));
  }

  take(key: string): Taken {
    const table = this.#table;
    const { dropped } = table;
    const nowMs = this.#parts.clock.epochMs() - this.#startMs;
    const debtMs = table.take(textHash(key, this.#seed), this.#bucket, nowMs);
    if (table.dropped !== dropped) this.#parts.dropped();
    return takenOf(this.#bucket, debtMs);
  }
}

function takenOf({ intervalMs, capacityMs }: Bucket, debtMs: number): Taken {
  const free = (capacityMs - debtMs) / intervalMs + rounding;
  if (free >= 0) {
    const remaining = Math.floor(free);
    const resetMs = Math.max(0, (remaining + 1 - free) * intervalMs);
    return { allowed: true, remaining, retryAfterMs: 0, resetMs };
  }
  const retryAfterMs = debtMs === Number.POSITIVE_INFINITY ? intervalMs : debtMs - capacityMs;
  return { allowed: false, remaining: 0, retryAfterMs, resetMs: retryAfterMs };
}
