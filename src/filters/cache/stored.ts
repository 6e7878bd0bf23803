/** An answer that is kept: its head and body, and what is known of its age. */
import { type Freshness, initialAgeMs } from "./freshness.ts";

/** RFC 9111, section 3.1: what is said of a connection, and what is made anew whenever the answer is given. */
const NOT_KEPT = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "age",
];
/** Section 3.2: what tells of the body that is kept, and not of the one that a 304 would have had. */
const OF_THE_BODY = ["content-encoding", "content-type", "content-range", "content-length"];
/** What an answer costs beside its bytes and characters; measured, see docs/filters.md. */
const OVERHEAD_BYTES = 2048;

/** What an answer was asked for with, as far as it decides who else may have it. */
export interface AskedFor {
  readonly url: string;
  readonly route: string;
  readonly service: string;
  /** Names of `Vary`, and what the request said there. */
  readonly varied: readonly string[];
  readonly values: string;
}

/** When an answer was asked for and came: monotonic, and of the epoch. */
export interface Timing {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly receivedEpochMs: number;
}

export class StoredAnswer {
  readonly askedFor: AskedFor;
  readonly bodyBytes: number;
  /** Callers who are being given its body. */
  readers = 0;
  /** Somebody asks the service about it, in the background. */
  revalidating: "yes" | "no" = "no";
  /** Until then (monotonic) it is given stale without asking: the service just failed. */
  failedUntilMs = Number.NEGATIVE_INFINITY;
  #freshness: Freshness;
  readonly #answer: Response;
  #headBytes = 0;
  #receivedMs: number;
  #initialAgeMs: number;

  /** `answer`: its head; the body is given whole. */
  constructor(
    askedFor: AskedFor,
    { answer, body }: { readonly answer: Response; readonly body: Uint8Array<ArrayBuffer> },
    { freshness, timing }: { readonly freshness: Freshness; readonly timing: Timing },
  ) {
    this.askedFor = askedFor;
    this.bodyBytes = body.byteLength;
    this.#freshness = freshness;
    this.#receivedMs = timing.receivedMs;
    this.#initialAgeMs = ageAt(answer.headers, timing);
    const hasBody = body.byteLength > 0 || answer.body !== null;
    this.#answer = new Response(hasBody ? body : null, answer);
    const { headers } = this.#answer;
    if (!headers.has("date")) headers.set("date", new Date(timing.receivedEpochMs).toUTCString());
    this.#headBytes = headBytes(headers);
    for (const name of unkept(headers)) headers.delete(name);
    // The filters further out judge by it, as they do when the service tells it.
    if (hasBody) headers.set("content-length", String(body.byteLength));
    this.settle(freshness);
  }

  get freshness(): Freshness {
    return this.#freshness;
  }

  /** What is not for others goes. */
  settle(freshness: Freshness): void {
    this.#freshness = freshness;
    for (const name of freshness.withheld) this.#answer.headers.delete(name);
  }

  get headers(): Headers {
    return this.#answer.headers;
  }

  get status(): number {
    return this.#answer.status;
  }

  /** All that it takes. */
  get bytes(): number {
    const { url, values } = this.askedFor;
    return OVERHEAD_BYTES + this.bodyBytes + url.length + values.length + this.#headBytes;
  }

  ageMs(nowMs: number): number {
    return this.#initialAgeMs + Math.max(0, nowMs - this.#receivedMs);
  }

  /** An answer to be given; all of them share the one body. */
  copy(): Response {
    return this.#answer.clone();
  }

  /**
   * The service says that it holds (RFC 9111, sections 3.2 and 4.3.4): what it says of it now counts. `withheld`: names
   * of fields that are not for others.
   */
  freshen({ headers }: Response, timing: Timing, withheld: readonly string[]): void {
    const left = new Set([...unkept(headers), ...OF_THE_BODY, ...withheld]);
    for (const name of new Set(headers.keys())) if (!left.has(name)) this.#answer.headers.delete(name);
    for (const [name, value] of headers) if (!left.has(name)) this.#answer.headers.append(name, value);
    this.#headBytes = Math.max(this.#headBytes, headBytes(this.#answer.headers));
    this.#receivedMs = timing.receivedMs;
    this.#initialAgeMs = ageAt(headers, timing);
    this.failedUntilMs = Number.NEGATIVE_INFINITY;
  }
}

function ageAt(headers: Headers, { sentMs, receivedMs, receivedEpochMs }: Timing): number {
  return initialAgeMs(headers, { receivedEpochMs, delayMs: receivedMs - sentMs });
}

function unkept(headers: Headers): readonly string[] {
  const named = (headers.get("connection") ?? "").toLowerCase().split(",");
  return [
    ...NOT_KEPT,
    ...named.map((name) => name.trim()).filter((name) => /^[\w!#$%&'*+.^`|~-]+$/.test(name)),
  ];
}

function headBytes(headers: Headers): number {
  let sum = 0;
  for (const [name, value] of headers) sum += name.length + value.length + 4;
  return sum;
}
