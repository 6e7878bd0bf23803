/** What stands around the filters of a route: the route that has them, and where a request comes out of them. Types only. */
import type { Context } from "hono";
import type { AnswerChange, FilterBindings, Middleware, Variables } from "../types.ts";
import type { Matching } from "./filter-request.ts";

/** The env object of one request: what filters see, and the end of the chain. */
export interface ChainEnd extends FilterBindings {
  /** As forwarded. */
  readonly path: string;
  /** Told before the first filter runs. */
  entered(context: ChainContext): void;
  /**
   * Innermost: sends this request, maybe rebuilt, to the service, or answers for the route itself. The context is told
   * what came of it, once, before this returns or later. (A promise of it would be one more for each request.)
   */
  forward(request: Request, context: ChainContext): void;
  /** The answer, once. */
  answer(response: Response): void;
}

/** Hono's context, as what sends the request needs it. */
export interface ChainContext {
  /** Made into an object when somebody asks. */
  readonly var: Variables;
  answered(response: Response): void;
  failed(error: unknown): void;
  /** For `c.env.onAnswer`. */
  onAnswer(change: AnswerChange): void;
}

/** A downstream filter. */
export interface PassedFilter {
  readonly middleware: Middleware;
  /** Logs and counts what it threw, and returns it as an Error. */
  blame(thrown: unknown): Error;
}

/** What a route's filters are run by. */
export interface FilterRoute extends Matching {
  readonly filters: readonly PassedFilter[];
  /** The answer to an error that the filter or, without one, the sending failed with. */
  failed(error: unknown, c: Context, filter: PassedFilter | null): Response;
  /** The answer when the filters ended without one; `last` is the one that was entered last. */
  unfinished(c: Context, last: PassedFilter): Response;
}
