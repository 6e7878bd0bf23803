/** A request of a caller, as far as a cache looks at it, and which kept answer may be given for it. */
import type { Call } from "../../plugin.ts";
import { type Directives, parseDirectives } from "./directives.ts";
import type { StoredAnswer } from "./stored.ts";
import { variedValues } from "./vary.ts";

/** What only the service can tell (RFC 9111, section 4.3.2), parts of answers, and what is no HTTP afterwards. */
const PAST_THE_CACHE = ["range", "if-match", "if-unmodified-since", "if-range", "upgrade"];

/** How a kept answer may be given: `stale, and ask` in the background; `ask first` before it is given. */
export type Use = "fresh" | "stale" | "stale, and ask" | "ask first";

export class Asked {
  readonly url: string;
  readonly call: Call;
  /** The listener and route: what they do to a request need not be seen in it. */
  readonly route: string;
  readonly headers: Headers;
  readonly #directives: Directives;

  constructor(call: Call, scope: string) {
    this.call = call;
    this.route = `${scope} ${call.route}`;
    this.headers = call.request.headers;
    this.url = addressOf(call.request.url);
    // RFC 9111, section 5.4: older callers say no-cache there.
    this.#directives = parseDirectives(this.headers.get("cache-control") ?? this.headers.get("pragma"));
  }

  /** Neither answered from what is kept, nor kept. */
  get passes(): boolean {
    return this.call.request.body !== null || PAST_THE_CACHE.some((name) => this.headers.has(name));
  }

  get onlyIfCached(): boolean {
    return this.#directives.has("only-if-cached");
  }

  /** Its answer may be kept. */
  get keeps(): boolean {
    return this.call.request.method === "GET" && !this.#directives.has("no-store");
  }

  /** Whoever asks for an answer of a certain age does not share one that somebody else waits for. */
  get shares(): boolean {
    return !["no-cache", "max-age", "min-fresh"].some((name) => this.#directives.has(name));
  }

  get hasConditions(): boolean {
    return this.headers.has("if-none-match") || this.headers.has("if-modified-since");
  }

  /** Said by the request, or found by a filter that may have taken the credential out of it. */
  get asker(): "anybody" | "authorized" {
    const { vars } = this.call;
    const known = this.headers.has("authorization") || vars.claims !== undefined || vars.caller !== undefined;
    return known ? "authorized" : "anybody";
  }

  /** Who would get the same answer; `answers` are those that are kept for its address, which tell of `Vary`. */
  shareKey(answers: readonly StoredAnswer[]): string {
    const { service } = this.call;
    const varied = answers.find((answer) => this.#isOfPlace(answer))?.askedFor.varied ?? [];
    return [this.url, this.route, service, this.asker, ...varied, variedValues(varied, this.headers)].join(
      "\n",
    );
  }

  /** Whether the answer was made for a request like this one. */
  fits(answer: StoredAnswer): boolean {
    const { varied, values } = answer.askedFor;
    return this.#isOfPlace(answer) && (varied.length === 0 || variedValues(varied, this.headers) === values);
  }

  /** Another route, or service, may have made another answer of it. */
  #isOfPlace({ askedFor }: StoredAnswer): boolean {
    return askedFor.route === this.route && askedFor.service === this.call.service;
  }

  /** RFC 9111, sections 4.2 and 5.2.1; RFC 5861. */
  useOf(answer: StoredAnswer, nowMs: number): Use {
    const { lifetimeMs, validation, staleForCallers, staleWhileRevalidateMs } = answer.freshness;
    const ageMs = answer.ageMs(nowMs);
    const asked = this.#directives;
    if (asked.has("no-cache") || ageMs > (asked.durationMs("max-age") ?? Number.POSITIVE_INFINITY))
      return "ask first";
    if (validation === "always") return "ask first";
    const leftMs = lifetimeMs - ageMs;
    if (leftMs <= 0 && nowMs < answer.failedUntilMs) return "stale";
    if (leftMs < (asked.durationMs("min-fresh") ?? Number.NEGATIVE_INFINITY)) return "ask first";
    if (leftMs > 0) return "fresh";
    if (staleForCallers === "allowed" && -leftMs <= this.#maxStaleMs) return "stale";
    return -leftMs < staleWhileRevalidateMs ? "stale, and ask" : "ask first";
  }

  /** Whether it may be given because the service fails. */
  mayGetForError(answer: StoredAnswer, nowMs: number): boolean {
    const { lifetimeMs, staleIfErrorMs, validation, staleForCallers } = answer.freshness;
    if (validation === "always" || this.#directives.has("no-cache")) return false;
    const askedMs = staleForCallers === "allowed" ? (this.#directives.durationMs("stale-if-error") ?? 0) : 0;
    return answer.ageMs(nowMs) - lifetimeMs < Math.max(staleIfErrorMs, askedMs);
  }

  get #maxStaleMs(): number {
    if (!this.#directives.has("max-stale")) return -1;
    return this.#directives.isBare("max-stale")
      ? Number.POSITIVE_INFINITY
      : this.#directives.durationMs("max-stale")!;
  }
}

/** Scheme and host without case, and without the port that goes without saying (RFC 9111, section 4; RFC 9110, 4.2.3). */
export function addressOf(url: string): string {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  const origin = (slash < 0 ? url : url.slice(0, slash)).toLowerCase();
  const port = origin.startsWith("http:") ? ":80" : ":443";
  const bare = origin.endsWith(port) ? origin.slice(0, -port.length) : origin;
  return slash < 0 ? `${bare}/` : bare + url.slice(slash);
}

/** The addresses whose answers hold no more when a request changed something there (RFC 9111, section 4.4). */
export function changedAddresses(url: string, { headers }: Response): readonly string[] {
  const address = addressOf(url);
  const origin = address.slice(0, address.indexOf("/", address.indexOf("://") + 3) + 1);
  const others = ["location", "content-location"].flatMap((name) => {
    const value = headers.get(name);
    if (value === null || !URL.canParse(value, url)) return [];
    const target = new URL(value, url);
    target.hash = "";
    return [addressOf(target.href)].filter((other) => other.startsWith(origin));
  });
  return [address, ...others];
}
