/**
 * The filters of a route, made live: the downstream ones as one Hono app, the upstream ones folded around `send`.
 * The app's router does not route: matching is done, so it answers always the same handlers.
 */
import { type Context, Hono } from "hono";
import type { ParamIndexMap, Result, Router } from "hono/router";
import type { Bindings, Call, Send, SendChange, UpstreamFilter, Variables } from "../types.ts";
import { ANSWERS, answerTo } from "./failures.ts";
import { isRefusal, wasThrownByFilter } from "./filter-guard.ts";
import type { LiveFilter } from "./live-filter.ts";
import { ownResponse, refusalResponse } from "./own-response.ts";

/** The env object of one request: what filters see, and the end of the chain. */
export interface ChainEnd extends Bindings {
  /** As forwarded. */
  readonly path: string;
  /** Innermost: sends this request, maybe rebuilt, to the service; or answers for the route itself. */
  forward(request: Request, context: ChainContext): Response | Promise<Response>;
}

/** Hono's context, of which the variables are wanted: made into an object only when somebody asks. */
export interface ChainContext {
  readonly var: Variables;
}

export type Chain = (request: Request, end: ChainEnd) => Promise<Response>;
export type SendWrap = (call: Call, send: Send) => Promise<Response>;

interface ChainEnvironment {
  Bindings: ChainEnd;
  Variables: Variables;
}

/**
 * Null when none of the filters is a downstream one. The chain answers always; it never rejects. `path` is what the
 * route matches, whose `:names` are Hono's params.
 */
export function compileChain(filters: readonly LiveFilter[], path: string | null = null): Chain | null {
  const downstream = filters.filter(({ middleware }) => middleware !== null);
  if (downstream.length === 0) return null;
  const app = new Hono<ChainEnvironment>({ router: new FixedRouter(path), getPath });
  for (const { middleware } of downstream) app.use(middleware as never);
  app.all("*", (c) => c.env.forward(c.req.raw, c));
  app.onError((error, c) => answerError(error, c, downstream));
  // With at least one middleware Hono dispatches asynchronously.
  return (request, end) => app.fetch(request, end) as Promise<Response>;
}

/** Null when none of the filters is an upstream one. The first in the list is the outermost. */
export function wrapSend(filters: readonly LiveFilter[]): SendWrap | null {
  const upstream = filters.flatMap((filter) => (filter.upstream === null ? [] : [filter.upstream]));
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
  readonly attempt: number;

  constructor(call: Call, attempt: number, change: SendChange) {
    this.#call = call;
    this.attempt = attempt;
    this.request = change.request ?? call.request;
    this.signal = change.signal ?? call.signal;
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
    return this.#call.replayable(bytesMax);
  }

  copy(): Request {
    return this.#call.copy();
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

/** Hono's three-member router: these handlers always, and the params of the one path that got here. */
class FixedRouter<Handler> implements Router<Handler> {
  readonly name = "fixed";
  readonly #handlers: [Handler, ParamIndexMap][] = [];
  /** Which segments are params; Hono finds their names in `#indices`. */
  readonly #segments: readonly number[];
  readonly #indices: ParamIndexMap;
  readonly #result: Result<Handler>;

  constructor(path: string | null) {
    const params = paramNames(path);
    this.#segments = params.map(({ segment }) => segment);
    this.#indices = Object.fromEntries(params.map(({ name }, index) => [name, index]));
    this.#result = [this.#handlers, []];
  }

  add(_method: string, _path: string, handler: Handler): void {
    this.#handlers.push([handler, this.#indices]);
  }

  match(_method: string, path: string): Result<Handler> {
    if (this.#segments.length === 0) return this.#result;
    const texts = path.split("/");
    return [this.#handlers, this.#segments.map((segment) => texts[segment] ?? "")];
  }
}

/** `c.req.path` is the path that will be forwarded, never decoded: filters judge what the service gets. */
function getPath(_request: Request, options?: { readonly env?: ChainEnd }): string {
  return options?.env?.path ?? "/";
}

function answerError(error: Error, c: Context, filters: readonly LiveFilter[]): Response {
  if (isRefusal(error)) {
    const response = refusalResponse(error.getResponse());
    return c.newResponse(response.body, response);
  }
  const unfinished = c.error !== error;
  if (unfinished) blameUnfinished(c, filters);
  // Hono would lay the fields of an answer that is already there over this one, its coding and length too.
  c.res = undefined;
  return ownResponse(unfinished || wasThrownByFilter(error) ? ANSWERS["filter-error"] : answerTo(error));
}

/**
 * Hono itself throws, after all its handlers, when a filter neither answered nor went on; it does not say which. The
 * last one that ran is the one, or a filter around it did not wait.
 */
function blameUnfinished(c: Context, filters: readonly LiveFilter[]): void {
  const last = filters[Math.min(c.req.routeIndex, filters.length - 1)]!;
  last.blame(new Error("it, or a filter around it, neither answered nor awaited next()"));
}
