/**
 * Stands around one filter: says its name when it throws, and does what the entry's `onError` asks. An error that
 * brings its own response (Hono's HTTPException) is a refusal, not a failure.
 */
import type { Context, Next } from "hono";
import type { FilterEntry } from "../snapshot.ts";
import type { FilterEnvironment, Log, Middleware, Send, UpstreamFilter } from "../types.ts";
import { type FailureKind, MessageFailure } from "./failures.ts";
import { FilterTimer, type Stopwatch, type TimerParts } from "./filter-timer.ts";
import { refusalResponse } from "./own-response.ts";

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

const thrownByFilters = new WeakSet<Error>();

export function wasThrownByFilter(error: Error): boolean {
  return thrownByFilters.has(error);
}

type Answer = Awaited<ReturnType<Middleware>>;
type FilterContext = Context<FilterEnvironment>;

export class FilterGuard {
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
    return async (call, send) => {
      const stopwatch = this.#timer.begin();
      const failures: unknown[] = [];
      let latest: Promise<Response> | null = null;
      const onward: Send = async (change) => {
        stopwatch?.pause();
        latest = send(change);
        try {
          return await latest;
        } catch (error) {
          failures.push(error);
          throw error;
        } finally {
          stopwatch?.resume();
        }
      };
      try {
        return await run(call, onward);
      } catch (error) {
        // What the sending failed with is passed on as it is: the filter only let it through.
        if (failures.includes(error) || isMishap(error)) throw error;
        return await this.#recover(error, latest ?? send);
      } finally {
        stopwatch?.stop();
      }
    };
  }

  #recover(error: unknown, latest: Promise<Response> | Send): Promise<Response> | Response {
    const failure = this.blame(error);
    if (isRefusal(failure)) return refusalResponse(failure.getResponse());
    if (this.#onError === "open") return typeof latest === "function" ? latest() : latest;
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
