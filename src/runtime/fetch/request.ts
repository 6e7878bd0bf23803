/** The lightweight Request: every member of the real one, around a head and a body that stay where they are. */
import { ANSWERS } from "../failures.ts";
import { ownResponse } from "../own-response.ts";
import { type BodyInput, bodyFrom } from "./body-input.ts";
import { BodyTooLarge } from "./body-limits.ts";
import { LightStream } from "./body-stream.ts";
import { isToken } from "./field-names.ts";
import { type HeadersInput, LightHeaders } from "./headers.ts";
import { LightMessage } from "./message.ts";
import { NativeRequest } from "./natives.ts";
import type { RequestSource } from "./sources.ts";

export interface LightRequestInit extends Omit<RequestInit, "body" | "headers"> {
  readonly body?: BodyInput | null;
  readonly headers?: HeadersInput;
  readonly duplex?: string;
}

const fromSource = Symbol("from source");
/** The methods whose case the Fetch standard mends. */
const NORMALIZED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

/** The members that mean something to a browser only; kept as they were given. */
const RARE = [
  "cache",
  "credentials",
  "integrity",
  "keepalive",
  "mode",
  "redirect",
  "referrer",
  "referrerPolicy",
] as const;
type Rare = Pick<RequestInit, (typeof RARE)[number]>;

/** Whether this is one of ours. */
export let isLightRequest: (value: unknown) => value is LightRequest;

export class LightRequest extends LightMessage {
  readonly #method: string;
  /** Null while it is the source's: it is made when somebody asks. */
  #url: string | null;
  #signal: AbortSignal | null;
  /** Where url and signal are when they are null here. */
  readonly #origin: RequestSource | null;
  readonly #rare: Rare | null;

  static {
    isLightRequest = (value): value is LightRequest =>
      typeof value === "object" && value !== null && #origin in value;
  }

  constructor(
    input: LightRequest | Request | string | URL | typeof fromSource,
    init?: LightRequestInit | RequestSource,
  ) {
    if (input === fromSource) {
      const source = init as RequestSource;
      super(source, null, undefined);
      this.#method = source.method;
      this.#url = null;
      this.#signal = null;
      this.#origin = source;
      this.#rare = null;
      return;
    }
    const options = init as LightRequestInit | undefined;
    const from = isLightRequest(input) || input instanceof NativeRequest ? input : null;
    const headers = new LightHeaders(options?.headers ?? from?.headers);
    super(null, headers, requestBody(from, options, headers));
    this.#method = options?.method === undefined ? (from?.method ?? "GET") : checkedMethod(options.method);
    if (isLightRequest(from)) {
      this.#origin = from.#origin;
      this.#url = from.#url;
      this.#signal = options?.signal ?? from.#signal;
      this.#rare = rareOf(options, from.#rare);
    } else {
      this.#origin = null;
      this.#url = from === null ? checkedUrl(input as string | URL) : from.url;
      this.#signal = options?.signal ?? from?.signal ?? null;
      this.#rare = rareOf(options, from);
    }
  }

  get method(): string {
    return this.#method;
  }

  get url(): string {
    this.#url ??= this.#origin === null ? "" : this.#origin.url;
    return this.#url;
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#origin === null ? new AbortController().signal : this.#origin.signal;
    return this.#signal;
  }

  get cache(): RequestCache {
    return this.#rare?.cache ?? "default";
  }

  get credentials(): RequestCredentials {
    return this.#rare?.credentials ?? "same-origin";
  }

  get destination(): RequestDestination {
    return "";
  }

  get duplex(): string {
    return "half";
  }

  get integrity(): string {
    return this.#rare?.integrity ?? "";
  }

  get keepalive(): boolean {
    return this.#rare?.keepalive ?? false;
  }

  get mode(): RequestMode {
    return this.#rare?.mode ?? "cors";
  }

  get redirect(): RequestRedirect {
    return this.#rare?.redirect ?? "follow";
  }

  get referrer(): string {
    return this.#rare?.referrer ?? "about:client";
  }

  get referrerPolicy(): ReferrerPolicy {
    return this.#rare?.referrerPolicy ?? "";
  }

  clone(): LightRequest {
    const copy = this.splitBody();
    return new LightRequest(this, copy === null ? undefined : { body: copy });
  }

  protected override tooLarge({ message }: BodyTooLarge): BodyTooLarge {
    return new RequestTooLarge(message);
  }

  get [Symbol.toStringTag](): string {
    return "Request";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): unknown {
    return { method: this.#method, url: this.url, headers: this.headers, bodyUsed: this.bodyUsed };
  }
}

/** It brings the answer with it: a filter that lets it through has refused the request, and not failed. */
class RequestTooLarge extends BodyTooLarge {
  override readonly side = "downstream";

  getResponse(): Response {
    return ownResponse(ANSWERS["body-too-large"]);
  }
}

/** A Request for a head that came from a caller. */
export function lightRequest(source: RequestSource): Request {
  return new LightRequest(fromSource, source) as unknown as Request;
}

function rareOf(init: Rare | undefined, inherited: Rare | null): Rare | null {
  if (init === undefined || !RARE.some((name) => init[name] !== undefined)) return inherited;
  return Object.fromEntries(RARE.map((name) => [name, init[name] ?? inherited?.[name]]));
}

function requestBody(
  from: LightRequest | Request | null,
  init: LightRequestInit | undefined,
  headers: LightHeaders,
): LightStream | null {
  const given = init?.body;
  if (given !== undefined && given !== null) return bodyFrom(given, headers);
  const body = from === null ? null : from.body;
  return body === null ? null : LightStream.over(body);
}

/** Any token is a method: what a caller sent must be what a filter can send (RFC 9110 section 9.1). */
function checkedMethod(given: string): string {
  const method = String(given);
  if (!isToken(method))
    throw new TypeError(`cannot use ${JSON.stringify(method)} as a method: wanted a token such as GET`);
  const upper = method.toUpperCase();
  return NORMALIZED.has(upper) ? upper : method;
}

function checkedUrl(given: string | URL): string {
  const url = String(given);
  if (URL.canParse(url)) return new URL(url).href;
  throw new TypeError(`cannot make a Request for ${JSON.stringify(url)}: wanted an absolute url`);
}
