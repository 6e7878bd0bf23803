/** One use of one of Hono's middlewares, as a config can say it. */
import type { Context, Next } from "hono";
import type { RequestDraft, ResponseDraft } from "../../runtime/fetch/both-pairs.ts";

export interface HonoCase {
  readonly name: string;
  /** What stands behind the filter's name; nothing without it. */
  readonly value?: unknown;
  readonly request?: RequestDraft;
  /** Of the service. */
  readonly answer?: ResponseDraft;
  /** Runs further inside. */
  readonly inside?: (c: Context, next: Next) => unknown;
}

/** By the name of the filter. */
export type HonoCases = Readonly<Record<string, readonly HonoCase[]>>;

/** Names what a filter left for those further inside, so that it shows in the answer. */
export const tell = (name: string) => async (c: Context, next: Next) => {
  const value: unknown = c.get(name as never);
  await next();
  c.header(`x-${name.toLowerCase()}`, JSON.stringify(value));
};
