/** Hono's middlewares that a config cannot use, because YAML cannot say what they are called with. */

export interface LeftOut {
  readonly reason: string;
  /** What to do, or to use, instead. */
  readonly instead: string;
}

/** By the name of the module. */
export const leftOut: Readonly<Record<string, LeftOut>> = {
  cache: {
    reason: "it keeps answers in a Cache of the platform, and there is none here",
    instead: "the built-in `cache` does it",
  },
  combine: {
    reason: "its arguments are other middlewares",
    instead: "filters that stand in one list all run, one behind the other",
  },
  "ip-restriction": {
    reason: "its first argument is a function that finds the caller's address",
    instead: "the built-in `ip-allow` does it",
  },
  "jsx-renderer": {
    reason: "its argument is a component",
    instead: "leave pages to a service",
  },
  "method-not-allowed": {
    reason: "its argument is a Hono app, whose routes it looks through",
    instead: "a route's `match` takes `method`",
  },
  "method-override": {
    reason: "its argument is a Hono app, which it calls anew",
    instead: "leave it to the service",
  },
  mount: {
    reason: "its argument is an application",
    instead: "send the route to a service, with `to`",
  },
  "serve-static": {
    reason: "its arguments are functions that read files",
    instead: "leave files to a service",
  },
  validator: {
    reason: "its argument is a function that judges",
    instead: "leave it to the service",
  },
};
