/** The lightweight Response: every member of the real one, around a head and a body that stay where they are. */
import { type BodyInput, bodyFrom } from "./body-input.ts";
import { type HeadersInput, LightHeaders } from "./headers.ts";
import { LightMessage, sourceIn } from "./message.ts";
import type { ResponseSource } from "./sources.ts";

export interface LightResponseInit {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeadersInput;
}

const fromSource = Symbol("from source");
const REDIRECTS = [301, 302, 303, 307, 308];

/** The reason phrase as it came; null when a filter made the Response and gave none. */
export let reasonOf: (response: LightResponse) => string | null;
/** The one that it was made from without its body. */
export let bodilessOf: (response: LightResponse) => LightResponse | null;
/** Whether this is one of ours. */
export let isLightResponse: (value: unknown) => value is LightResponse;

export class LightResponse extends LightMessage {
  readonly #status: number;
  readonly #reason: string | null;
  readonly #bodilessOf: LightResponse | null;

  static {
    reasonOf = (response) => response.#reason;
    bodilessOf = (response) => response.#bodilessOf;
    isLightResponse = (value): value is LightResponse =>
      typeof value === "object" && value !== null && #status in value;
  }

  constructor(body?: BodyInput | null | typeof fromSource, init?: LightResponseInit | ResponseSource | null) {
    if (body === fromSource) {
      const source = init as ResponseSource;
      super(source, null, undefined);
      this.#status = source.status;
      this.#reason = source.reason;
      this.#bodilessOf = null;
      return;
    }
    const options = init as LightResponseInit | null | undefined;
    const headers = new LightHeaders(options?.headers);
    super(null, headers, body === null || body === undefined ? null : bodyFrom(body as BodyInput, headers));
    this.#status = checkedStatus(options?.status);
    const from = isLightResponse(options) ? options : null;
    this.#reason = from === null ? checkedReason(options?.statusText) : from.#reason;
    this.#bodilessOf = body === null ? from : null;
  }

  static error(): LightResponse {
    return new LightResponse(fromSource, { status: 0, reason: "", fields: noFields, body: null });
  }

  static json(data: unknown, init?: LightResponseInit | number): LightResponse {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError(`cannot send ${typeof data} as JSON`);
    const options = typeof init === "number" ? { status: init } : init;
    const headers = new LightHeaders(options?.headers);
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    return new LightResponse(text, { ...options, headers });
  }

  static redirect(url: string | URL, status: number | LightResponseInit = 302): LightResponse {
    const options = typeof status === "number" ? { status } : { status: 302, ...status };
    if (!REDIRECTS.includes(options.status)) {
      throw new RangeError(
        `cannot redirect with status ${options.status}: wanted one of ${REDIRECTS.join(", ")}`,
      );
    }
    const headers = new LightHeaders(options.headers);
    headers.set("location", URL.canParse(String(url)) ? new URL(url).href : String(url));
    return new LightResponse(null, { ...options, headers });
  }

  get status(): number {
    return this.#status;
  }

  get statusText(): string {
    return this.#reason ?? "";
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get type(): ResponseType {
    return this.#status === 0 ? "error" : "default";
  }

  get url(): string {
    return "";
  }

  get redirected(): boolean {
    return false;
  }

  clone(): LightResponse {
    const copy = this.splitBody();
    return new LightResponse(copy, this);
  }

  get [Symbol.toStringTag](): string {
    return "Response";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): unknown {
    return {
      status: this.#status,
      statusText: this.statusText,
      headers: this.headers,
      bodyUsed: this.bodyUsed,
    };
  }
}

const noFields = { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 };

/** A Response for a head that came from a service. */
export function lightResponse(source: ResponseSource): Response {
  return new LightResponse(fromSource, source) as unknown as Response;
}

/** Whether this is the very answer of a service, though its fields may be changed; not one that a filter made of it. */
export function isFromSource(response: Response): boolean {
  return isLightResponse(response) && sourceIn(response) !== null;
}

/** Wider than the Fetch standard: services answer with 600 to 999 too, and filters pass it on. */
function checkedStatus(given: number | undefined): number {
  const status = given === undefined ? 200 : Number(given);
  if (Number.isInteger(status) && ((status >= 200 && status <= 999) || status === 101)) return status;
  throw new RangeError(`cannot make a Response with status ${String(given)}: wanted 101 or 200 to 999`);
}

function checkedReason(given: string | undefined): string | null {
  if (given === undefined || given === "") return null;
  const reason = String(given);
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(reason)) return reason;
  throw new TypeError(`cannot use ${JSON.stringify(reason)} as a status text: wanted one line of latin1`);
}
