/**
 * Requests for services of the mesh that this node knows nothing of yet: it learns of a service when somebody asks for
 * it, so that it needs no memory for those that nobody here uses. They wait for a snapshot that has a route for them.
 */
import type { Deadline, Deadlines } from "../deadlines.ts";
import { ANSWERS, type Answer } from "../failures.ts";

/** Requests that wait, in all. */
export const HELD_MAX = 256;
/** For how long each of them does; a name that nothing is heard of is asked for again after that. */
export const HELD_MS = 2_000;
/** A service that there is not is not asked for again. */
export const MISSING_MS = 5_000;
export const MISSING_MAX = 1_024;

/** What a mesh document calls a service. */
const serviceForm = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export interface HeldRequest {
  /** Another snapshot is live. "gone" when the request needs to wait no longer, whatever became of it. */
  tryAgain(): "gone" | "waits";
  refuse(answer: Answer): void;
}

interface Wanted {
  askedAtMs: number;
  readonly requests: Map<HeldRequest, Deadline>;
}

export class WantedServices {
  readonly #deadlines: Deadlines;
  readonly #ask: (service: string) => void;
  readonly #wanted = new Map<string, Wanted>();
  /** When each may be asked for again; the oldest first. */
  readonly #missing = new Map<string, number>();
  #held = 0;

  constructor(deadlines: Deadlines, ask: (service: string) => void) {
    this.#deadlines = deadlines;
    this.#ask = ask;
  }

  /** Null when it waits now, else why it does not. */
  hold(service: string, request: HeldRequest): Answer | null {
    const { now } = this.#deadlines;
    if (!serviceForm.test(service) || (this.#missing.get(service) ?? -Infinity) > now)
      return ANSWERS["no-such-service"];
    if (this.#held >= HELD_MAX) return { ...ANSWERS["service-unknown"], sentence: TOO_MANY };
    const wanted = this.#wanted.get(service) ?? { askedAtMs: -Infinity, requests: new Map() };
    this.#wanted.set(service, wanted);
    const deadline = this.#deadlines.create(() => {
      this.leave(service, request);
      request.refuse(ANSWERS["service-unknown"]);
    });
    deadline.set(now + HELD_MS);
    wanted.requests.set(request, deadline);
    this.#held++;
    if (now - wanted.askedAtMs >= HELD_MS) {
      wanted.askedAtMs = now;
      this.#ask(service);
    }
    return null;
  }

  /** It waits no longer. */
  leave(service: string, request: HeldRequest): void {
    const wanted = this.#wanted.get(service);
    const deadline = wanted?.requests.get(request);
    if (wanted === undefined || deadline === undefined) return;
    deadline.remove();
    wanted.requests.delete(request);
    this.#held--;
    if (wanted.requests.size === 0) this.#wanted.delete(service);
  }

  /** Another snapshot is live. */
  live(): void {
    for (const [service, { requests }] of [...this.#wanted]) {
      for (const request of [...requests.keys()]) {
        if (request.tryAgain() === "gone") this.leave(service, request);
      }
    }
  }

  /** The mesh has no such services. */
  missing(services: readonly string[]): void {
    const now = this.#deadlines.touch();
    for (const service of services) {
      this.#missing.delete(service);
      this.#missing.set(service, now + MISSING_MS);
      const requests = [...(this.#wanted.get(service)?.requests.keys() ?? [])];
      for (const request of requests) {
        this.leave(service, request);
        request.refuse(ANSWERS["no-such-service"]);
      }
    }
    for (const [service, untilMs] of this.#missing) {
      if (untilMs > now && this.#missing.size <= MISSING_MAX) break;
      this.#missing.delete(service);
    }
  }
}

const TOO_MANY = "too many requests wait for services that this node does not know yet";
