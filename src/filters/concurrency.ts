/**
 * Downstream. Lets so many requests be under way at a time and refuses the others with 503, at once: a queue would only
 * make all of them late. Downstream and not around the call, because a request counts until the last byte of its answer
 * left, or never will, and because one that is tried again is one request.
 */
import { defineFilter, type InFlight, type Middleware, type Tools, z } from "../plugin.ts";
import { GradientLimit } from "./concurrency/gradient-limit.ts";
import { refusalOf } from "./refusal.ts";

type Context = Parameters<Middleware>[0];

const COUNT_MAX = 100_000;
const GATEWAY_TIMEOUT = 504;

const count = z.int().min(1).max(COUNT_MAX);

const adaptive = z
  .strictObject({
    min: count.default(10).describe("it never falls below, in each worker"),
    max: count.default(1000).describe("it never rises above, in the node as a whole"),
    initial: count.default(20).describe("where it begins, in each worker"),
  })
  .superRefine(({ min, max }, context) => {
    if (min <= max) return;
    context.addIssue({ code: "custom", message: `wanted at most max, ${max}`, path: ["min"], input: min });
  });

const options = z
  .strictObject({
    limit: count.exactOptional().describe("how many requests may be under way, in the node as a whole"),
    adaptive: adaptive.exactOptional().describe("finds the limit out from how long answers take"),
  })
  .superRefine((given, context) => {
    if ((given.limit === undefined) !== (given.adaptive === undefined)) return;
    const message = "wanted one of limit and adaptive";
    context.addIssue({ code: "custom", message, input: given });
  });

export default defineFilter({
  name: "concurrency",
  summary: "Lets so many requests be under way at a time",
  options,
  middleware: (given, tools) => {
    const places = tools.inFlight("requests");
    return given.adaptive === undefined
      ? fixed(places, given.limit!, tools)
      : adapting(places, gradientOf(given.adaptive, tools), { max: given.adaptive.max, tools });
  },
});

function fixed(places: InFlight, limit: number, tools: Tools): Middleware {
  return (c, next) => {
    if (!places.enter(limit)) return Promise.resolve(refuse(tools));
    c.env.finished(() => places.leave());
    return next();
  };
}

function adapting(
  places: InFlight,
  gradient: GradientLimit,
  { max, tools }: { readonly max: number; readonly tools: Tools },
): Middleware {
  const { clock } = tools;
  return async (c, next) => {
    if (!gradient.enter()) return refuse(tools);
    if (!places.enter(max)) {
      gradient.leave();
      return refuse(tools);
    }
    c.env.finished(() => {
      gradient.leave();
      places.leave();
    });
    const began = clock.now();
    await next();
    const now = clock.now();
    if (tells(c)) gradient.sample(now - began, now);
    return undefined;
  };
}

/** What fails fast says nothing of how fast the service is; what did not come in time does. */
function tells(c: Context): boolean {
  return c.res.status < 500 || c.res.status === GATEWAY_TIMEOUT;
}

/** What a worker learnt is kept over a reload. */
function gradientOf(bounds: z.output<typeof adaptive>, tools: Tools): GradientLimit {
  return tools.keep(`gradient ${tools.scope} ${JSON.stringify(bounds)}`, () => new GradientLimit(bounds));
}

/** Without Retry-After: nobody knows when there is a place, and whoever can ask another node had better do so at once. */
function refuse({ metrics, id }: Tools): Response {
  metrics.count("concurrency_refused", { limit: id });
  const sentence = "as many requests are under way as may be";
  return refusalOf({ status: 503, reason: "concurrency-limited", sentence });
}
