/** What tells callers apart in a request, for limits and for hashing; key-schema.ts is how a config writes it. */
import type { RequestKey } from "./snapshot.ts";

/** Whom a request comes from, and by which way. */
export interface CallerFacts {
  /** "unknown" where the connection has none. */
  readonly remoteAddress: string;
  /** Empty when no route took it. */
  readonly routeName: string;
  /** Null unless TLS proved one. */
  readonly identity: string | null;
  /** What a filter such as jwt left under this name; undefined where none did. */
  readonly claims: unknown;
}

/** A request, as far as keys can be made of it. */
export interface KeyFacts extends CallerFacts {
  /** What follows "?", without it. */
  readonly query: string;
  /** The values of all fields of this name, which is in lower case, as one; null when there is none. */
  header(name: string): string | null;
}

/** A request as filters made it. */
export function messageFacts(request: Request, caller: CallerFacts): KeyFacts {
  return new MessageFacts(request, caller);
}

/** Made for each request, of which one fact is asked for: the others are not looked up. */
class MessageFacts implements KeyFacts {
  readonly #request: Request;
  readonly #caller: CallerFacts;

  constructor(request: Request, caller: CallerFacts) {
    this.#request = request;
    this.#caller = caller;
  }

  get remoteAddress(): string {
    return this.#caller.remoteAddress;
  }

  get routeName(): string {
    return this.#caller.routeName;
  }

  get identity(): string | null {
    return this.#caller.identity;
  }

  get claims(): unknown {
    return this.#caller.claims;
  }

  get query(): string {
    return new URL(this.#request.url).search.slice(1);
  }

  header(name: string): string | null {
    return this.#request.headers.get(name);
  }
}

/** Null when the request has no such thing, or nothing in it. */
export function requestKey(key: RequestKey, facts: KeyFacts): string | null {
  const value = read(key, facts);
  return value === "" ? null : value;
}

function read(key: RequestKey, facts: KeyFacts): string | null {
  switch (key.by) {
    case "ip":
      return facts.remoteAddress === "unknown" ? null : facts.remoteAddress;
    case "route":
      return facts.routeName;
    case "identity":
      return facts.identity;
    case "header":
      return facts.header(key.name);
    case "cookie":
      return cookieValue(facts.header("cookie") ?? "", key.name);
    case "query":
      return new URLSearchParams(facts.query).get(key.name);
    case "claim":
      return claimValue(facts.claims, key.name);
  }
}

/** A list or a map tells nobody apart. */
function claimValue(claims: unknown, name: string): string | null {
  if (typeof claims !== "object" || claims === null || !Object.hasOwn(claims, name)) return null;
  const value: unknown = claims[name as never];
  return typeof value === "string" || typeof value === "number" ? String(value) : null;
}

/** RFC 6265, section 4.2: `name=value` pairs with "; " between them; of two with one name the first. */
function cookieValue(cookies: string, name: string): string | null {
  for (let start = 0; start < cookies.length; ) {
    const next = cookies.indexOf(";", start);
    const end = next === -1 ? cookies.length : next;
    const equals = cookies.indexOf("=", start);
    if (equals !== -1 && equals < end && cookies.slice(start, equals).trim() === name)
      return cookies.slice(equals + 1, end).trim();
    start = end + 1;
  }
  return null;
}
