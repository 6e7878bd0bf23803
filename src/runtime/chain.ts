/**
 * The filters of a route, made live: the downstream ones as Hono would run them, the upstream ones folded around `send`.
 * Why not by Hono's own app: docs/decisions/own-dispatch.md.
 */
import type { Context } from "hono";
import type { ParamIndexMap } from "hono/router";
import type { Call, Send, SendChange, UpstreamFilter, Variables } from "../types.ts";
import type { ChainEnd, FilterRoute, PassedFilter } from "./chain-end.ts";
import { ANSWERS, type Answer, answerTo } from "./failures.ts";
import { passFilters } from "./filter-context.ts";
import { isRefusal, wasThrownByFilter } from "./filter-guard.ts";
import type { Matched } from "./filter-request.ts";
import type { LiveFilter } from "./live-filter.ts";
import { ownResponse, refusalResponse } from "./own-response.ts";
import { claim } from "./run-call.ts";

/** Tells `end` the answer; there always is one. */
export type Chain = (request: Request, end: ChainEnd) => void;
export type SendWrap = (call: Call, send: Send) => Promise<Response>;

/** Null when there are no filters. `path` is what the route matches, whose `:names` are Hono's params. */
export function compileChain(filters: readonly LiveFilter[], path: string | null = null): Chain | null {
  if (filters.length === 0) return null;
  const downstream = filters.filter(
    (filter): filter is LiveFilter & PassedFilter => filter.middleware !== null,
  );
  const route = new DownstreamFilters(downstream, path);
  return (request, end) => passFilters(route, request, end);
}

/**
 * Null when none of the filters is an upstream one. The first in the list is the outermost; but those that may send more
 * than once are the innermost, also where lists of several owners were joined: what stands around them is sent once.
 */
export function wrapSend(filters: readonly LiveFilter[]): SendWrap | null {
  const inOrder = [...filters.filter(({ repeats }) => !repeats), ...filters.filter(({ repeats }) => repeats)];
  const upstream = inOrder.flatMap((filter) => (filter.upstream === null ? [] : [filter.upstream]));
  const [first, ...rest] = upstream;
  if (first === undefined) return null;
  const inner = wrapAround(rest);
  return inner === null ? first : (call, send) => around(first, inner, { call, send });
}

function wrapAround(filters: readonly UpstreamFilter[]): SendWrap | null {
  const [first, ...rest] = filters;
  if (first === undefined) return null;
  const inner = wrapAround(rest);
  return inner === null ? first : (call, send) => around(first, inner, { call, send });
}

/** Each sending of the outer filter is a call of its own for the inner ones, with what the outer one changed. */
function around(
  outer: UpstreamFilter,
  inner: SendWrap,
  { call, send }: { readonly call: Call; readonly send: Send },
): Promise<Response> {
  let attempt = 0;
  // What one of several fails with is for the others to see, and so each is followed.
  claim(call, null);
  return outer(call, (change) => {
    attempt += 1;
    if (change === undefined && attempt === 1) return inner(call, send);
    return inner(new ChangedCall(call, attempt, change ?? {}), (more) => send({ ...change, ...more }));
  });
}

class ChangedCall implements Call {
  readonly request: Request;
  readonly signal: AbortSignal;
  readonly service: string;
  readonly #call: Call;
  readonly #detached: boolean;
  readonly attempt: number;

  constructor(call: Call, attempt: number, change: SendChange) {
    this.#call = call;
    this.#detached = change.detached === true;
    this.attempt = attempt;
    this.request = change.request ?? call.request;
    this.signal = change.signal ?? (this.#detached ? this.request.signal : call.signal);
    this.service = change.service ?? call.service;
  }

  get deadline(): number {
    return this.#call.deadline;
  }

  get route(): string {
    return this.#call.route;
  }

  get vars(): Variables {
    return this.#call.vars;
  }

  replayable(bytesMax: number): Promise<boolean> {
    return this.#detached ? Promise.resolve(true) : this.#call.replayable(bytesMax);
  }

  /** What is sent detached is what the service gets already. */
  copy(): Request {
    const { request } = this;
    if (!this.#detached) return this.#call.copy();
    return new Request(request.url, { method: request.method, headers: request.headers });
  }
}

/** The `:names` in a path of the config, and which of its segments they are. */
export function paramNames(
  path: string | null,
): readonly { readonly name: string; readonly segment: number }[] {
  // Most have none, and this is asked of every route.
  if (!path?.includes("/:")) return [];
  return path
    .split("/")
    .flatMap((text, segment) => (text.startsWith(":") ? [{ name: text.slice(1), segment }] : []));
}

/** The downstream filters of a route, and what becomes of their errors. */
class DownstreamFilters implements FilterRoute {
  readonly filters: readonly PassedFilter[];
  /** Which segments are params; Hono finds their names in the handlers. */
  readonly #segments: readonly number[];
  readonly #matched: Matched;

  constructor(filters: readonly PassedFilter[], path: string | null) {
    const params = paramNames(path);
    const indices: ParamIndexMap = Object.fromEntries(params.map(({ name }, index) => [name, index]));
    this.filters = filters;
    this.#segments = params.map(({ segment }) => segment);
    // One more than there are filters: what sends the request is a handler too.
    this.#matched = [Array.from({ length: filters.length + 1 }, () => [ANY_ROUTE, indices]), []];
  }

  matched(path: string): Matched {
    if (this.#segments.length === 0) return this.#matched;
    const texts = path.split("/");
    return [this.#matched[0], this.#segments.map((segment) => texts[segment] ?? "")];
  }

  failed(thrown: unknown, c: Context, filter: PassedFilter | null): Response {
    const error = filter === null ? asError(thrown) : filter.blame(thrown);
    c.error = error;
    if (isRefusal(error)) {
      const response = refusalResponse(error.getResponse());
      return c.newResponse(response.body, response);
    }
    return answerInstead(c, wasThrownByFilter(error) ? ANSWERS["filter-error"] : answerTo(error));
  }

  /** The last filter that ran neither answered nor went on, or one around it did not wait. */
  unfinished(c: Context, last: PassedFilter): Response {
    last.blame(new Error("it, or a filter around it, neither answered nor awaited next()"));
    return answerInstead(c, ANSWERS["filter-error"]);
  }
}

/** What Hono's own app would say of each handler. */
const ANY_ROUTE = [null, { basePath: "/", path: "/*", method: "ALL", handler: null }] as never;

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Hono would lay the fields of an answer that is already there over this one, its coding and length too. */
function answerInstead(c: Context, answer: Answer): Response {
  c.res = undefined;
  return ownResponse(answer);
}
