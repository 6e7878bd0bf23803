/**
 * How many tries a filter may add to those that callers cause: a share of the requests, and a few a second besides, so
 * that a route with little traffic can try again too. It holds for the node, whatever the number of its workers is, and
 * is kept over reloads.
 */
import type { Clock, Counter, Tools } from "../../plugin.ts";

export interface BudgetLimits {
  /** Of the requests, from 0 to 1. */
  readonly share: number;
  readonly perSecond: number;
}

/** Tries that may be saved up: what a sudden outage costs the services at most beyond the rate. */
const savedMax = 500;
/**
 * Requests that are added to what the node shares in one go: each addition there costs as much as the rest of a filter.
 * A worker adds what it has before it takes anything, so its own are never missed; what all others have not added yet is
 * less than one try for each of them at the default share.
 */
const addedTogether = 4;
/** In the future by more than several workers at the same moment can make it: the system's clock was set back. */
const aheadMaxUs = 60_000_000;

export class TryBudget {
  /**
   * The moment, in microseconds of the epoch, up to which the budget is spent: from there to now is what is left. So
   * time refills it, a request moves the moment back, and a try moves it on.
   */
  readonly #spent: Counter;
  readonly #clock: Clock;
  readonly #requestUs: number;
  readonly #tryUs: number;
  /** Requests that are not added yet. */
  #requests = 0;

  constructor(spent: Counter, clock: Clock, { share, perSecond }: BudgetLimits) {
    this.#spent = spent;
    this.#clock = clock;
    this.#tryUs = Math.round(1_000_000 / perSecond);
    this.#requestUs = Math.round(this.#tryUs * share);
    // A new one begins with a second's tries: what fails first, while all is new, may be tried again too.
    spent.swap(0, this.#nowUs - perSecond * this.#tryUs);
  }

  /** A caller's request came. */
  addRequest(): void {
    this.#requests += 1;
    if (this.#requests === addedTogether) this.#addRequests();
  }

  #addRequests(): void {
    if (this.#requests > 0) this.#spent.add(-this.#requestUs * this.#requests);
    this.#requests = 0;
  }

  /** False when there is nothing left. */
  take(): boolean {
    this.#addRequests();
    const now = this.#nowUs;
    const spent = this.#spent.value;
    const earliest = now - savedMax * this.#tryUs;
    if (spent < earliest) this.#spent.swap(spent, earliest);
    else if (spent > now + aheadMaxUs) this.#spent.swap(spent, now);
    if (this.#spent.add(this.#tryUs) <= now) return true;
    this.#spent.add(-this.#tryUs);
    return false;
  }

  get #nowUs(): number {
    return Math.floor(this.#clock.epochMs() * 1000);
  }
}

/** That of the route on which the filter stands; filters with the same `id` share one where their routes have one name. */
export function routeBudget(tools: Tools, route: string, limits: BudgetLimits): TryBudget {
  const owner = tools.scope === "" ? route : tools.scope;
  return new TryBudget(nodeCounter(tools, `budget ${owner}`), tools.clock, limits);
}

/** A node has room for the counters of some thousand routes; a worker of one with more counts for itself. */
function nodeCounter(tools: Tools, key: string): Counter {
  try {
    return tools.shared(key);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    tools.log.warn("each worker has a budget of its own", { reason });
    return new WorkerCounter();
  }
}

class WorkerCounter implements Counter {
  value = 0;

  add(amount: number): number {
    this.value += amount;
    return this.value;
  }

  swap(expected: number, value: number): number {
    const was = this.value;
    if (was === expected) this.value = value;
    return was;
  }
}
