/** The call to a service as upstream filters see it. What few of them ask for is found out when they do. */
import type { Call, SendChange, Variables } from "../types.ts";
import type { Destination } from "./service.ts";

/** The request on its way, of which this is a call. */
export interface CalledRun {
  /** Sendings so far. */
  readonly attempts: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly routeName: string;
  readonly vars: Variables;
  replayable(request: Request, bytesMax: number): Promise<boolean>;
  copy(request: Request): Request;
  /** `target`: where a change does not say where to. */
  sendChanged(request: Request, target: Destination, change: SendChange): Promise<Response>;
}

/** Who says what becomes of what an upstream filter failed with. */
export interface CallGuard {
  /** `latest`: the filter's last sending. */
  failed(error: unknown, latest: Promise<Response> | null): Promise<Response>;
}

/**
 * True for the one guard that is first to ask of the call of a whole request: it is told what the filter failed with, and
 * need not follow it, which would be a promise and two functions more.
 */
export let claim: (call: Call, guard: CallGuard | null) => boolean;

export class RunCall implements Call {
  readonly request: Request;
  readonly #run: CalledRun;
  readonly #target: Destination;
  #vars: Variables | null = null;
  #latest: Promise<Response> | null = null;
  #claimed = false;
  #guard: CallGuard | null = null;

  static {
    claim = (call, guard) => {
      if (!(#claimed in call) || call.#claimed) return false;
      call.#claimed = true;
      call.#guard = guard;
      return true;
    };
  }

  constructor(run: CalledRun, request: Request, target: Destination) {
    this.request = request;
    this.#run = run;
    this.#target = target;
  }

  // ---- for whoever made it ----

  send(change: SendChange = UNCHANGED): Promise<Response> {
    const sending = this.#run.sendChanged(change.request ?? this.request, this.#target, change);
    this.#latest = sending;
    return sending;
  }

  /** What becomes of what the filters failed with. */
  failed(error: unknown): Promise<Response> {
    return this.#guard === null ? Promise.reject(error) : this.#guard.failed(error, this.#latest);
  }

  // ---- for filters ----

  get attempt(): number {
    return Math.max(1, this.#run.attempts);
  }

  get deadline(): number {
    return this.#run.deadlineMs;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get route(): string {
    return this.#run.routeName;
  }

  get service(): string {
    return this.#target.service.config.name;
  }

  get vars(): Variables {
    this.#vars ??= this.#run.vars;
    return this.#vars;
  }

  replayable(bytesMax: number): Promise<boolean> {
    return this.#run.replayable(this.request, bytesMax);
  }

  copy(): Request {
    return this.#run.copy(this.request);
  }
}

const UNCHANGED: SendChange = {};
