/**
 * What a filter gets as `c.req`: Hono's HonoRequest in all that can be seen of it. Hono's own is two objects and a
 * closure more; it is made when somebody asks for params, a body or the route. What needs nothing but `raw` is
 * inherited from it.
 */
import { HonoRequest } from "hono/request";
import type { ParamIndexMap } from "hono/router";

/** Hono's result of a match: the handlers, each with where its params are, and the params. */
export type Matched = [[never, ParamIndexMap][], string[]];

/** Finds the result of the match for a path. */
export interface Matching {
  matched(path: string): Matched;
}

/** Hono's members that work on any object with these properties. */
const INHERITED: ReadonlySet<PropertyKey> = new Set([
  "constructor",
  "header",
  "method",
  "parseBody",
  "queries",
  "query",
  "url",
]);

/** Hono's own, up to date with what a filter replaced. */
let wholeOf: (request: FilterRequest) => HonoRequest;

class FilterRequest {
  raw: Request;
  path: string;
  /** Of the filter that was entered last. */
  routeIndex: number;
  readonly #matching: Matching;
  #whole: HonoRequest | null = null;

  constructor(raw: Request, path: string, { index, matching }: { index: number; matching: Matching }) {
    this.raw = raw;
    this.path = path;
    this.routeIndex = index;
    this.#matching = matching;
  }

  get bodyCache(): HonoRequest["bodyCache"] {
    return wholeOf(this).bodyCache;
  }

  set bodyCache(cache: HonoRequest["bodyCache"]) {
    wholeOf(this).bodyCache = cache;
  }

  static {
    wholeOf = (request) => {
      request.#whole ??= new HonoRequest(
        request.raw,
        request.path,
        request.#matching.matched(request.path) as never,
      );
      const whole = request.#whole;
      whole.raw = request.raw;
      whole.path = request.path;
      whole.routeIndex = request.routeIndex;
      return whole;
    };
  }
}

// Whatever else Hono's has, or will have in a later version, is asked of Hono's own.
Object.setPrototypeOf(FilterRequest.prototype, HonoRequest.prototype);
for (const name of Reflect.ownKeys(HonoRequest.prototype)) {
  if (INHERITED.has(name)) continue;
  const { get } = Object.getOwnPropertyDescriptor(HonoRequest.prototype, name)!;
  const member =
    get === undefined
      ? { value: passOn(name), writable: true }
      : {
          get(this: FilterRequest) {
            return Reflect.get(wholeOf(this), name);
          },
        };
  Object.defineProperty(FilterRequest.prototype, name, { configurable: true, ...member });
}

function passOn(name: PropertyKey): (this: FilterRequest, ...given: unknown[]) => unknown {
  return function (...given) {
    const whole = wholeOf(this);
    return Reflect.get(whole, name).apply(whole, given);
  };
}

export function filterRequest(
  raw: Request,
  path: string,
  place: { readonly index: number; readonly matching: Matching },
): HonoRequest {
  return new FilterRequest(raw, path, place) as unknown as HonoRequest;
}
