/**
 * Downstream. Lets so many requests of each key pass in a time, and refuses the others with 429. It is a bucket of
 * `burst` that fills by `requests` in each `per`, as GCRA keeps it, and holds for the node, whatever the number of its
 * workers is, or with a store for all nodes that share it.
 */
import {
  defineFilter,
  type Key,
  keyText,
  type LimitRules,
  type Middleware,
  type Taken,
  type Tools,
} from "../plugin.ts";
import { LimitFields, secondsOf } from "./rate-limit/fields.ts";
import { type RateLimitOptions, rateLimitOptions } from "./rate-limit/options.ts";
import { SharedStore } from "./rate-limit/shared-store.ts";
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

type Result = "allowed" | "refused" | "audited";

class Gate {
  readonly #options: RateLimitOptions;
  readonly #tools: Tools;
  readonly #taking: Taking;
  readonly #fields: LimitFields | null;
  /** They are counted at each request: what is frozen is looked at once. */
  readonly #labels: Readonly<Record<Result, { readonly limit: string; readonly result: Result }>>;

  constructor(options: RateLimitOptions, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
    const { requests, per: perMs, burst = requests, keys, headers, mode } = options;
    const rules = { requests, perMs, burst, keys };
    this.#taking = takingOf(options, rules, tools);
    // Who is not refused need not know of a limit.
    const told = headers && mode === "enforce";
    this.#fields = told ? new LimitFields({ name: tools.id, ...rules }) : null;
    const labels = (result: Result) => Object.freeze({ limit: tools.id, result });
    this.#labels = { allowed: labels("allowed"), refused: labels("refused"), audited: labels("audited") };
  }

  pass(c: Context, next: Next): ReturnType<Middleware> {
    const taken = this.#taking(countedAs(this.#options.key, c));
    return taken instanceof Promise ? this.#passLater(taken, c, next) : this.#passAs(taken, c, next);
  }

  /** Apart: a method with a function in it makes a scope whenever it is called. */
  #passLater(taking: Promise<Taken>, c: Context, next: Next): ReturnType<Middleware> {
    return taking.then((taken) => this.#passAs(taken, c, next));
  }

  #passAs(taken: Taken, c: Context, next: Next): ReturnType<Middleware> {
    if (!taken.allowed && this.#options.mode === "enforce") return Promise.resolve(this.#refuse(taken));
    this.#count(taken.allowed ? "allowed" : "audited");
    if (this.#fields !== null) c.env.onAnswer(this.#fields.toldIn(taken));
    return next();
  }

  #refuse(taken: Taken): Response {
    this.#count("refused");
    const { requests, per } = this.#options;
    const sentence = `more than ${requests} requests in ${per / 1000} s`;
    const headers = { "retry-after": String(secondsOf(taken.retryAfterMs)) };
    const refusal = refusalOf({ status: 429, reason: "rate-limited", sentence, headers });
    this.#fields?.addTo(refusal.headers, taken);
    return refusal;
  }

  #count(result: Result): void {
    this.#tools.metrics.count("rate_limit", this.#labels[result]);
  }
}

type Taking = (text: string) => Taken | Promise<Taken>;

/** From the store where there is one; else, and while it is away, from what the node counts itself. */
function takingOf(options: RateLimitOptions, rules: LimitRules, tools: Tools): Taking {
  const name = Object.values(options.key).join(":");
  const own = tools.limit(name, rules);
  const { store: address, storeTimeout: timeoutMs } = options;
  if (address === undefined) return (text) => own.take(text);
  const known = `store ${JSON.stringify(address)} ${timeoutMs}`;
  const store = tools.keep(known, () => new SharedStore(tools, { address, timeoutMs }));
  store.use(tools.onClose);
  const { requests, perMs, burst } = rules;
  const bucket = `clearway:limit:${tools.id}:${tools.scope}:${requests}/${perMs}/${burst}:${name}`;
  return (text) => {
    const asked = store.take(`${bucket}:${text}`, rules);
    return asked === null ? own.take(text) : asked.then((taken) => taken ?? own.take(text));
  };
}

/**
 * A caller that leaves out what it is counted by is counted by its address: it would pass without a limit otherwise. No
 * header can hold what stands in front of the address.
 */
function countedAs(key: Key, c: Context): string {
  return keyText(key, c) ?? `\0${c.env.remoteAddress}`;
}
