/**
 * A function that makes a Hono middleware from arguments, as a filter: what stands in the config are the arguments.
 * Reading them calls the function, so that what it refuses is found when the config is checked, at its line.
 */
import { type FilterDefinition, type Middleware, z } from "../plugin.ts";

/** Hono types a middleware by the environment that it was written for; every one runs in ours. */
type AnyMiddleware = (...parts: Parameters<Middleware>) => unknown;

export interface FactorySource<Arguments extends readonly unknown[]> {
  readonly name: string;
  readonly summary: string;
  /** From what stands in the config to the arguments of the call; nothing at all is null. */
  readonly options: z.ZodType<NoInfer<Arguments>>;
  readonly factory: (...given: Arguments) => AnyMiddleware;
}

export function factoryFilter<Arguments extends readonly unknown[]>(
  source: FactorySource<Arguments>,
): FilterDefinition {
  const { name, summary, options, factory } = source;
  const made = options.transform((given, context): Middleware => {
    const result = attempt(factory, given);
    if (typeof result === "function") return result;
    context.addIssue({ code: "custom", message: `${name} ${result.fault}`, input: null });
    return z.NEVER;
  });
  return { name, summary, options: made, middleware: (middleware) => middleware as Middleware };
}

/** A value that is the only argument. */
export function alone<One extends z.ZodType>(one: One) {
  return one.transform((value): [z.output<One>] => [value]);
}

/** One argument, alone or in a list. */
export function oneArgument<One extends z.ZodType>(one: One): z.ZodType<[z.output<One>]> {
  return z.union([alone(one), z.tuple([one])]) as never;
}

/** The same, or none. */
export function maybeArgument<One extends z.ZodType>(one: One): z.ZodType<[] | [z.output<One>]> {
  return z.union([noArgument(), alone(one), z.tuple([one.exactOptional()])]) as never;
}

/** Nothing behind the name. */
export function noArgument(): z.ZodType<[]> {
  return z.null().transform((): [] => []);
}

/** The same where nobody told what the function takes: whatever YAML says. */
export function untypedFactoryFilter(
  name: string,
  factory: (...given: unknown[]) => never,
): FilterDefinition {
  return factoryFilter({ name, summary: "A middleware of a package", options: anyArguments, factory });
}

const anyArguments = z.unknown().transform((written): unknown[] => {
  if (written === null || written === undefined) return [];
  return Array.isArray(written) ? written : [written];
});

function attempt<Arguments extends readonly unknown[]>(
  factory: (...given: Arguments) => AnyMiddleware,
  given: Arguments,
): Middleware | { readonly fault: string } {
  let made: unknown;
  try {
    // A copy: some of them write their defaults into what they are given.
    made = factory(...structuredClone(given));
  } catch (error) {
    return { fault: `throws: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof made === "function") return made as Middleware;
  if (made instanceof Promise) made.catch(() => {});
  return { fault: `makes ${kindOf(made)}: wanted a middleware, a function of (c, next)` };
}

function kindOf(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  return value === null || value === undefined ? "nothing" : `a value of type ${typeof value}`;
}
