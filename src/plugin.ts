/** The one door for filter authors: `import { defineFilter, z } from "clearway/plugin"`. */
import type { Context } from "hono";
import { z } from "zod";
import { messageFacts, requestKey } from "./keys.ts";
import type { RequestKey as Key } from "./snapshot.ts";
import type { FilterDefinition, FilterEnvironment, Middleware, Tools, UpstreamFilter } from "./types.ts";
import type { Mark } from "./units.ts";

export { z } from "zod";
export type { Identity } from "./identity.ts";
export { identityText, isTrustDomain, parseIdentity } from "./identity.ts";
export { key } from "./key-schema.ts";
export type { Address, ByteSocket, Clock, Random, SocketError, SocketOwner } from "./machine.ts";
export { pathMatcher } from "./path-matcher.ts";
export { methodName, pathPattern } from "./pattern-schema.ts";
export type { RequestKey as Key } from "./snapshot.ts";
export type {
  AnswerChange,
  Appender,
  Bindings,
  Call,
  Counter,
  Failure,
  FilterBindings,
  FilterDefinition,
  FilterEnvironment,
  FilterMetrics,
  InFlight,
  Limit,
  LimitRules,
  Log,
  LogFields,
  LogLevel,
  Middleware,
  RequestSummary,
  RequestUnderWay,
  Send,
  SendChange,
  Taken,
  Tools,
  UpstreamFilter,
  Variables,
} from "./types.ts";
export type { DurationBounds, SizeBounds } from "./units.ts";
export { duration, percent, size } from "./units.ts";

/** What an author writes: the schema types the options of whichever shape stands beside it. */
type FilterSource<Schema extends z.ZodType> = {
  readonly name: string;
  readonly summary: string;
  readonly options: Schema;
} & (
  | {
      readonly middleware: (options: z.output<Schema>, tools: Tools) => Middleware;
      readonly upstream?: never;
      readonly repeats?: never;
    }
  | {
      readonly upstream: (options: z.output<Schema>, tools: Tools) => UpstreamFilter;
      readonly middleware?: never;
      /** It may send more than once, so it runs after every filter that may not. */
      readonly repeats?: true;
    }
);

/** A filter that still knows what its options are written like, for who tests it. */
export type DefinedFilter<Schema extends z.ZodType> = FilterDefinition & { readonly options: Schema };

/** The same without the types' promise: a plugin may be plain JavaScript. */
interface FilterShapes {
  readonly name: string;
  readonly middleware?: unknown;
  readonly upstream?: unknown;
  readonly repeats?: unknown;
}

const filterName = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/**
 * Returns the definition as it was given. Throws an Error when the name is not kebab-case, or when there is not
 * exactly one of `middleware` and `upstream`.
 */
export function defineFilter<Schema extends z.ZodType>(source: FilterSource<Schema>): DefinedFilter<Schema> {
  const { name, middleware, upstream, repeats }: FilterShapes = source;
  const fault = (wanted: string) => new Error(`cannot define the filter "${name}": ${wanted}`);
  if (!filterName.test(name)) throw fault("wanted a name such as rate-limit");
  if ((middleware === undefined) === (upstream === undefined)) {
    const found = middleware === undefined ? "neither" : "both";
    throw fault(`wanted exactly one of middleware and upstream, found ${found}`);
  }
  if (repeats && upstream === undefined) throw fault("only an upstream filter can repeat");
  // The registry holds filters of all option types; whoever creates one gives it what its own schema made.
  return source as unknown as DefinedFilter<Schema>;
}

/** The name of a service of the config, checked to exist. */
export function service(): z.ZodType<string, string> {
  return z
    .string({ error: "wanted the name of a service" })
    .min(1, { error: "wanted the name of a service" })
    .meta({ mark: "service" satisfies Mark });
}

/** The name of a file. A relative one becomes relative to the config file that names it. */
export function path(): z.ZodType<string, string> {
  return z
    .string({ error: "wanted the path of a file" })
    .min(1, { error: "wanted the path of a file" })
    .meta({ mark: "path" satisfies Mark });
}

/** Text that is shown to nobody, such as a password. Whoever writes the config had better read it by `file:PATH`. */
export function secret(): z.ZodType<string, string> {
  return z.string({ error: "wanted text" }).meta({ mark: "secret" satisfies Mark });
}

/**
 * What a key is in a request; null when the request has no such thing, or nothing in it: no address, no such header, no
 * token with such a claim.
 */
export function keyText(key: Key, c: Context<FilterEnvironment>): string | null {
  const { remoteAddress, route, identity } = c.env;
  const caller = { remoteAddress, routeName: route ?? "", identity, claims: c.get("claims") };
  return requestKey(key, messageFacts(c.req.raw, caller));
}
