/**
 * Downstream. Lets so many requests of each key pass in a time, and refuses the others with 429. It is a bucket of
 * `burst` that fills by `requests` in each `per`, as GCRA keeps it, and holds for the node, whatever the number of its
 * workers is.
 */
import { defineFilter, type Key, keyText, type Middleware, type Taken, type Tools } from "../plugin.ts";
import { LimitFields, secondsOf } from "./rate-limit/fields.ts";
import { type RateLimitOptions, rateLimitOptions } from "./rate-limit/options.ts";
import { refusalOf } from "./refusal.ts";

type Context = Parameters<Middleware>[0];
type Next = Parameters<Middleware>[1];

export default defineFilter({
  name: "rate-limit",
  summary: "Lets so many requests of each caller pass in a time",
  options: rateLimitOptions,
  middleware: (options, tools) => {
    const gate = new Gate(options, tools);
    return (c, next) => gate.pass(c, next);
  },
});

class Gate {
  readonly #options: RateLimitOptions;
  readonly #tools: Tools;
  readonly #take: (key: string) => Taken;
  readonly #fields: LimitFields | null;

  constructor(options: RateLimitOptions, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
    const { requests, per: perMs, burst = requests, keys, key, headers, mode } = options;
    const limit = tools.limit(Object.values(key).join(":"), { requests, perMs, burst, keys });
    this.#take = (text) => limit.take(text);
    // Who is not refused need not know of a limit.
    const told = headers && mode === "enforce";
    this.#fields = told ? new LimitFields({ name: tools.id, requests, perMs, burst }) : null;
  }

  pass(c: Context, next: Next): ReturnType<Middleware> {
    const taken = this.#take(countedAs(this.#options.key, c));
    if (!taken.allowed && this.#options.mode === "enforce") return Promise.resolve(this.#refuse(taken));
    this.#count(taken.allowed ? "allowed" : "audited");
    const fields = this.#fields;
    if (fields === null) return next();
    return next().then(() => fields.addTo(c.res.headers, taken));
  }

  #refuse(taken: Taken): Response {
    this.#count("refused");
    const { requests, per } = this.#options;
    const sentence = `more than ${requests} requests in ${per / 1000} s`;
    const seconds = secondsOf(taken.retryAfterMs);
    const headers = { "retry-after": String(seconds) };
    const refusal = refusalOf({ status: 429, reason: "rate-limited", sentence, headers });
    this.#fields?.addTo(refusal.headers, taken);
    return refusal;
  }

  #count(result: "allowed" | "refused" | "audited"): void {
    this.#tools.metrics.count("rate_limit", { limit: this.#tools.id, result });
  }
}

/**
 * A caller that leaves out what it is counted by is counted by its address: it would pass without a limit otherwise. No
 * header can hold what stands in front of the address.
 */
function countedAs(key: Key, c: Context): string {
  return keyText(key, c) ?? `\0${c.env.remoteAddress}`;
}
