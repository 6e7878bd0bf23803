/**
 * What a filter gets as `c`, and the request's way through the filters of its route.
 *
 * It is Hono's Context in all that can be seen of it. Hono's own has some twenty closures and a promise more for each
 * middleware, so this one does itself what nearly every filter does, and makes Hono's when another member is asked
 * for: from then on that one holds the answer. Members are getters that give functions of their own, since Hono's may be
 * taken off (`const { header } = c`); one that is called at once costs nothing.
 */
import { type Context, Context as HonoContext } from "hono";
import type { HonoRequest } from "hono/request";
import type { AnswerChange, FilterEnvironment, Variables } from "../types.ts";
import type { ChainContext, ChainEnd, FilterRoute, PassedFilter } from "./chain-end.ts";
import { isFromSource } from "./fetch/response.ts";
import { filterRequest } from "./filter-request.ts";

/** What a filter wants to do with the answer. */
interface WantedChange {
  /** The filter's place. */
  readonly at: number;
  readonly change: AnswerChange;
  /** That of a filter around it, or an earlier one of its own. */
  readonly outer: WantedChange | null;
}

/** Tells `end` the answer, before it returns or when filters and service took their time. */
export function passFilters(route: FilterRoute, request: Request, end: ChainEnd): void {
  const context = new FilterContext(route, request, end);
  end.entered(context);
  begin(context);
}

/** Members of Hono's Context that few filters use, and none for every request. */
const RARE = [
  "body",
  "event",
  "executionCtx",
  "getLayout",
  "html",
  "json",
  "newResponse",
  "notFound",
  "redirect",
  "render",
  "setLayout",
  "setRenderer",
  "status",
  "text",
] as const;
/** Those that are getters here; in Hono they are properties, which can be replaced. */
const REPLACEABLE = ["get", "header", "set"] as const;

const DONE = Promise.resolve();
/** The answer goes out by itself, when it is there. */
const LATER = Symbol("later");

/** What is still inside; null when all of it is done. */
type Going = Promise<void> | null | typeof LATER;

let begin: (context: FilterContext) => void;

class FilterContext implements ChainContext {
  readonly env: ChainEnd;
  error: Error | undefined = undefined;
  readonly #route: FilterRoute;
  readonly #request: Request;
  #req: HonoRequest | null = null;
  #res: Response | null = null;
  #finalized = false;
  #vars: Variables | null = null;
  /** The filter that was entered last; their number when the request was sent. */
  #entered = -1;
  /** Whether it is known what came of the request; and whom to tell, where somebody waits for that. */
  #settled = false;
  #goOn: (() => void) | null = null;
  #changes: WantedChange | null = null;
  /** What the last `next()` gave. */
  #inside: Promise<void> | null = null;
  /** Filters that do not hand on what `next()` gave them, and are not done. */
  #waits: number[] | null = null;
  /** Hono's own, once one of the rarer members was asked for. */
  #full: Context | null = null;

  static {
    begin = (context) => {
      const going = context.#enter(0);
      if (going === null) context.#answer();
      else if (going !== LATER) context.#answerAfter(going);
    };
  }

  constructor(route: FilterRoute, request: Request, end: ChainEnd) {
    this.env = end;
    this.#route = route;
    this.#request = request;
  }

  // ---- its way ----

  // A method with a function in it makes a scope whenever it is called: those have none that need not.

  /** Goes into filter `at`, or out to the service behind the last. Null when all that is inside is done already. */
  #enter(at: number): Going {
    this.#entered = at;
    if (this.#req !== null) this.#req.routeIndex = at;
    const { filters } = this.#route;
    return at === filters.length ? this.#send() : this.#run(filters[at]!, at);
  }

  #run(filter: PassedFilter, at: number): Going {
    this.#inside = null;
    const next = (): Promise<void> => this.#next(at);
    let answer: unknown;
    try {
      answer = filter.middleware(this.#face, next);
    } catch (error) {
      this.#fail(error, filter);
      this.#change(at);
      return null;
    }
    // Many filters hand on the promise that they got: it says all that another one would.
    const inside = this.#inside;
    if (answer === inside && inside !== null) return inside === DONE ? this.#change(at) : inside;
    if (answer instanceof Promise) return this.#await(answer, filter, at);
    this.#take(answer);
    return this.#change(at);
  }

  #next(at: number): Promise<void> {
    if (at < this.#entered) return Promise.reject(new Error("next() called multiple times"));
    // Only the outermost filter's way is one that nobody waits for.
    const inside = (this.#enter(at + 1) as Promise<void> | null) ?? DONE;
    this.#inside = inside;
    return inside;
  }

  #await(answer: Promise<unknown>, filter: PassedFilter, at: number): Going {
    this.#waits ??= [];
    this.#waits.push(at);
    const going = answer.then(
      (found) => {
        this.#take(found);
        this.#left(at);
      },
      (error: unknown) => {
        this.#fail(error, filter);
        this.#left(at);
      },
    );
    return at === 0 ? LATER : going;
  }

  /** A filter that was waited for is done, and so are those around it up to the next such one. */
  #left(at: number): void {
    this.#waits!.splice(this.#waits!.indexOf(at), 1);
    this.#change(this.#awaited + 1);
    if (at === 0) this.#answer();
  }

  /** The innermost filter that is waited for; -1 when there is none. */
  get #awaited(): number {
    let innermost = -1;
    if (this.#waits !== null) for (const at of this.#waits) if (at > innermost) innermost = at;
    return innermost;
  }

  /** The answer passes the filters from the innermost to `at`. */
  #change(at: number): null {
    for (let next = this.#changes; next !== null && next.at >= at; next = this.#changes) {
      this.#changes = next.outer;
      try {
        next.change(this.res);
      } catch (error) {
        this.#fail(error, this.#route.filters[next.at]!);
      }
    }
    return null;
  }

  onAnswer(change: AnswerChange): void {
    this.#changes = { at: this.#entered, change, outer: this.#changes };
  }

  #send(): Going {
    try {
      this.env.forward(this.#req === null ? this.#request : this.#req.raw, this);
    } catch (error) {
      this.#fail(error, null);
      return null;
    }
    return this.#settled ? null : this.#settling();
  }

  /** Apart: a method with a function in it makes a scope whenever it is called. */
  #settling(): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  answered(response: Response): void {
    this.#settle(response);
    this.#sent();
  }

  failed(error: unknown): void {
    this.#fail(error, null);
    this.#sent();
  }

  #sent(): void {
    this.#settled = true;
    if (this.#goOn === null) return;
    this.#change(this.#awaited + 1);
    this.#goOn();
  }

  /**
   * What a filter returned. Only a Response is an answer: one that returns what `next()` gave returns nothing of its
   * own.
   */
  #take(returned: unknown): void {
    if (returned !== undefined && returned instanceof Response) this.#settle(returned);
  }

  /** As Hono does: an answer that a filter put into `c.res` already stays. */
  #settle(response: Response): void {
    if (!this.finalized) this.res = response;
  }

  #fail(error: unknown, filter: PassedFilter | null): void {
    this.res = this.#route.failed(error, this.#face, filter);
  }

  #answerAfter(going: Promise<void>): void {
    going.then(() => this.#answer());
  }

  #answer(): void {
    const response = this.finalized ? this.res : this.#unfinished();
    // What a filter made for HEAD as for GET goes out without its body.
    this.env.answer(this.#request.method === "HEAD" ? new Response(null, response) : response);
  }

  #unfinished(): Response {
    const { filters } = this.#route;
    return this.#route.unfinished(this.#face, filters[Math.min(this.#entered, filters.length - 1)]!);
  }

  /** This, as the types know it. */
  get #face(): Context<FilterEnvironment> {
    return this as unknown as Context<FilterEnvironment>;
  }

  // ---- Hono's members that nearly every filter uses ----

  get req(): HonoRequest {
    if (this.#req === null) {
      const place = { index: this.#entered, matching: this.#route };
      this.#req = filterRequest(this.#request, this.env.path, place);
    }
    return this.#req;
  }

  get finalized(): boolean {
    return this.#full === null ? this.#finalized : this.#full.finalized;
  }

  set finalized(finalized: boolean) {
    if (this.#full === null) this.#finalized = finalized;
    else this.#full.finalized = finalized;
  }

  get res(): Response {
    return this.#res ?? this.#whole.res;
  }

  set res(response: Response | undefined) {
    if (this.#full === null && this.#res === null && response !== undefined) {
      this.#res = response;
      this.#finalized = true;
      return;
    }
    // Hono lays the fields of the answer that was there over the new one.
    this.#whole.res = response;
  }

  get header(): Context["header"] {
    return (name: string, value?: string, options?: { readonly append?: boolean }): void => {
      const response = this.#res;
      // Hono makes the Response anew, as one that came from elsewhere may refuse changes. The service's does not.
      if (response === null || !isFromSource(response)) this.#whole.header(name, value, options);
      else if (value === undefined) response.headers.delete(name);
      else if (options?.append) response.headers.append(name, value);
      else response.headers.set(name, value);
    };
  }

  get set(): (key: string, value: unknown) => void {
    return (key, value) => {
      this.#vars ??= Object.create(null) as Variables;
      this.#vars[key] = value;
    };
  }

  get get(): (key: string) => unknown {
    return (key) => this.#vars?.[key];
  }

  get var(): Variables {
    return { ...this.#vars };
  }

  // ---- all others ----

  /** Hono's own; what was settled here is its from now on. */
  get #whole(): Context {
    if (this.#full === null) {
      const full = new HonoContext(this.#request, { env: this.env, notFoundHandler });
      if (this.#finalized) full.res = this.#res ?? undefined;
      this.#res = null;
      this.#full = full;
    }
    return this.#full;
  }

  static {
    const { prototype } = FilterContext;
    // `instanceof` finds Hono's Context in it.
    Object.setPrototypeOf(prototype, HonoContext.prototype);
    for (const name of RARE) {
      Object.defineProperty(prototype, name, {
        configurable: true,
        get(this: FilterContext) {
          return this.#whole[name];
        },
        set(this: FilterContext, value: never) {
          Reflect.set(this.#whole, name, value);
        },
      });
    }
    for (const name of REPLACEABLE) {
      const { get } = Object.getOwnPropertyDescriptor(prototype, name)!;
      Object.defineProperty(prototype, name, { configurable: true, get: get!, set: replaced(name) });
    }
  }
}

function replaced(name: string): (this: object, value: unknown) => void {
  return function (value) {
    Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true });
  };
}

function notFoundHandler(c: Context): Response {
  return c.text("404 Not Found", 404);
}
