/**
 * Stands around one filter: says its name when it throws, and does what the entry's `onError` asks. An error that
 * brings its own response (Hono's HTTPException) is a refusal, not a failure.
 */
import type { Context, Next } from "hono";
import type { FilterEntry } from "../snapshot.ts";
import type { Call, FilterEnvironment, Log, Middleware, Send, UpstreamFilter } from "../types.ts";
import { type FailureKind, MessageFailure } from "./failures.ts";
import { FilterTimer, type Stopwatch, type TimerParts } from "./filter-timer.ts";
import { refusalResponse } from "./own-response.ts";
import { type CallGuard, claim } from "./run-call.ts";

const ERRORS_HELP = "Calls of a filter that threw.";

interface Refusal extends Error {
  getResponse(): Response;
}

export function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && "getResponse" in error && typeof error.getResponse === "function";
}

/** What befalls a message while a filter reads its body: the caller's doing, or the service's. */
const MISHAPS: ReadonlySet<FailureKind> = new Set(["caller-left", "bad-body", "body-timeout", "truncated"]);

function isMishap(error: unknown): boolean {
  return error instanceof MessageFailure && MISHAPS.has(error.kind);
}

/** Failures of messages are never a filter's own; anything else is a sending's when the last one rejected with it. */
async function isOfSending(error: unknown, latest: Promise<Response> | null): Promise<boolean> {
  if (error instanceof MessageFailure || latest === null) return error instanceof MessageFailure;
  let failure: unknown = latest;
  latest.catch((reason: unknown) => {
    failure = reason;
  });
  // One that has ended says so first; one that has not is not waited for.
  await null;
  return failure === error;
}

const thrownByFilters = new WeakSet<Error>();

export function wasThrownByFilter(error: Error): boolean {
  return thrownByFilters.has(error);
}

type Answer = Awaited<ReturnType<Middleware>>;
type FilterContext = Context<FilterEnvironment>;

export class FilterGuard implements CallGuard {
  readonly #name: string;
  readonly #onError: FilterEntry["onError"];
  readonly #parts: TimerParts;
  readonly #log: Log;
  readonly #timer: FilterTimer;

  constructor(entry: FilterEntry, parts: TimerParts, log: Log) {
    this.#name = entry.name;
    this.#onError = entry.onError;
    this.#parts = parts;
    this.#log = log;
    this.#timer = new FilterTimer(entry.name, parts);
  }

  /** What it throws, or rejects with, is for the chain to blame it for. */
  downstream(run: Middleware): Middleware {
    return (c, next) => {
      const stopwatch = this.#timer.begin();
      if (stopwatch === null && this.#onError === "fail") return run(c, next);
      return this.#watched(run, c, { next, stopwatch });
    };
  }

  /** `downstream`, following what the filter does with `next`. */
  async #watched(
    run: Middleware,
    c: FilterContext,
    { next, stopwatch }: { readonly next: Next; readonly stopwatch: Stopwatch | null },
  ): Promise<Answer> {
    let rest: Promise<void> | null = null;
    const onward = (): Promise<void> => {
      stopwatch?.pause();
      const going = next();
      rest ??= going;
      return stopwatch === null ? going : going.finally(() => stopwatch.resume());
    };
    try {
      return await run(c, onward);
    } catch (error) {
      if (this.#onError === "fail" || isRefusal(error) || isMishap(error)) throw error;
      this.blame(error);
      await (rest ?? onward());
    } finally {
      stopwatch?.stop();
    }
  }

  upstream(run: UpstreamFilter): UpstreamFilter {
    return (call, send) => {
      const stopwatch = this.#timer.begin();
      if (stopwatch !== null || this.#onError === "open")
        return this.#watchedUpstream(run, call, { send, stopwatch });
      if (!claim(call, this)) return this.#followed(run, call, send);
      try {
        return run(call, send);
      } catch (error) {
        return Promise.reject(error);
      }
    };
  }

  /** Apart: a method with a function in it makes a scope whenever it is called. */
  #followed(run: UpstreamFilter, call: Call, send: Send): Promise<Response> {
    let latest: Promise<Response> | null = null;
    const onward: Send = (change) => {
      latest = send(change);
      return latest;
    };
    try {
      return run(call, onward).catch((error: unknown) => this.failed(error, latest));
    } catch (error) {
      return this.failed(error, latest);
    }
  }

  /** `upstream`, following what the filter does with `send`. */
  async #watchedUpstream(
    run: UpstreamFilter,
    call: Call,
    { send, stopwatch }: { readonly send: Send; readonly stopwatch: Stopwatch | null },
  ): Promise<Response> {
    let latest: Promise<Response> | null = null;
    const onward: Send = async (change) => {
      stopwatch?.pause();
      latest = send(change);
      try {
        return await latest;
      } finally {
        stopwatch?.resume();
      }
    };
    try {
      return await run(call, onward);
    } catch (error) {
      if (this.#onError === "fail" || (await isOfSending(error, latest)))
        return await this.failed(error, latest);
      const failure = this.blame(error);
      return isRefusal(failure) ? refusalResponse(failure.getResponse()) : await (latest ?? send());
    } finally {
      stopwatch?.stop();
    }
  }

  /** What a sending failed with is passed on as it is: the filter only let it through. */
  async failed(error: unknown, latest: Promise<Response> | null): Promise<Response> {
    if (await isOfSending(error, latest)) throw error;
    const failure = this.blame(error);
    if (isRefusal(failure)) return refusalResponse(failure.getResponse());
    throw new MessageFailure("filter-error", `the filter "${this.#name}" failed: ${failure.message}`, {
      side: "downstream",
    });
  }

  /** Logs and counts what a filter threw, and marks it as a filter's; refusals pass, and what it could not help. */
  blame(thrown: unknown): Error {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    if (isRefusal(error) || isMishap(error)) return error;
    thrownByFilters.add(error);
    const { meters, version } = this.#parts;
    meters.count("clearway_filter_errors_total", ERRORS_HELP, { filter: this.#name, version });
    this.#log.error("the filter failed", {
      error: error.message,
      stack: error.stack ?? null,
      onError: this.#onError,
    });
    return error;
  }
}
