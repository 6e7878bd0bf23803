/** The call to a service as upstream filters see it. What few of them ask for is found out when they do. */
import type { Call, Variables } from "../types.ts";
import type { Service } from "./service.ts";

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
}

export class RunCall implements Call {
  readonly request: Request;
  readonly #run: CalledRun;
  readonly #service: Service;
  #vars: Variables | null = null;

  constructor(run: CalledRun, request: Request, service: Service) {
    this.request = request;
    this.#run = run;
    this.#service = service;
  }

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
    return this.#service.config.name;
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
