/** The one door for filter authors: `import { defineFilter, z } from "clearway/plugin"`. */
import { z } from "zod";
import type { FilterDefinition, Middleware, Tools, UpstreamFilter } from "./types.ts";
import type { Mark } from "./units.ts";

export { z } from "zod";
export type { Address, ByteSocket, Clock, Random, SocketError, SocketOwner } from "./machine.ts";
export type {
  Appender,
  Bindings,
  Call,
  Counter,
  Failure,
  FilterDefinition,
  FilterEnvironment,
  FilterMetrics,
  Log,
  LogFields,
  LogLevel,
  Middleware,
  RequestSummary,
  Send,
  SendChange,
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

/** What tells callers apart: for limits and for hashing. */
export type Key =
  | { readonly kind: "ip" | "route" | "identity" }
  | { readonly kind: "header" | "cookie" | "query" | "claim"; readonly name: string };

const keyPattern = "^(ip|route|identity|(header|cookie|query|claim):.+)$";
const keyWanted = "wanted ip, route, identity, header:NAME, cookie:NAME, query:NAME or claim:NAME";
const plainKey = /^(ip|route|identity)$/;
const namedKey = /^(header|cookie|query|claim):([^\s:][^\s]{0,255})$/;

/** Text such as `ip` or `header:x-tenant`; a Key after parsing. Header names come in lower case. */
export function key(): z.ZodType<Key, string> {
  return z
    .string({ error: keyWanted })
    .transform((text, context): Key => {
      const found = parseKey(text);
      if (found !== null) return found;
      context.addIssue({ code: "custom", message: keyWanted, input: text });
      return z.NEVER;
    })
    .meta({ mark: "key" satisfies Mark, pattern: keyPattern, examples: ["ip", "header:x-tenant"] });
}

function parseKey(text: string): Key | null {
  const plain = plainKey.exec(text);
  if (plain !== null) return { kind: text as "ip" | "route" | "identity" };
  const named = namedKey.exec(text);
  if (named === null) return null;
  const kind = named[1] as "header" | "cookie" | "query" | "claim";
  return { kind, name: kind === "header" ? named[2]!.toLowerCase() : named[2]! };
}
