/** One sending of a request that filters may have changed: a Request out, a Response or a failure back. */

import { type CallerFacts, messageFacts, requestKey } from "../keys.ts";
import type { RequestKey } from "../snapshot.ts";
import type { Failure, SendChange } from "../types.ts";
import { type AnswerBody, type AnswerOwner, receivedAnswer } from "./answer-body.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import type { CallerBody } from "./caller-body.ts";
import type { Endpoint } from "./endpoint.ts";
import { expiry } from "./expiry.ts";
import { MessageFailure } from "./failures.ts";
import { outgoingRequest } from "./fetch/outgoing.ts";
import type { OutgoingBody, OutgoingRequest } from "./fetch/sources.ts";
import { knownFields } from "./http1/fields.ts";
import type { Head, KnownFields } from "./http1/head.ts";
import type { RequestFraming, RequestLine } from "./http1/request-writer.ts";
import type { ResponseFacts } from "./http1/response-rules.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import { deliver } from "./respond.ts";
import type { Destination, Service } from "./service.ts";

/** What goes out instead of what came; what is left out stays as it came. */
export interface ChangedRequest {
  readonly fields: KnownFields;
  readonly body: RequestFraming;
  readonly line?: RequestLine | null;
  readonly removed?: readonly number[];
  readonly added?: readonly string[];
}

/** The exchange with the caller, as a sending needs it. */
export interface CallerSide extends CallerFacts {
  readonly method: string;
  /** Path and query, as forwarded. */
  readonly target: string;
  endpoint: Endpoint | null;
  writeHead(upstream: UpstreamConnection, changed: ChangedRequest): void;
  /** Sends the caller's body on, as it comes. */
  sendBody(upstream: UpstreamConnection): void;
  onInformational(head: Head): void;
  onUpgraded(upstream: UpstreamConnection, head: Head): void;
  /** For a key that the request does not have; null when it cannot be given one. */
  newKeyValue(key: RequestKey): string | null;
}

/** The request that sendings are made of. */
export interface SentRequest {
  readonly exchange: CallerSide;
  /** As it came. */
  readonly original: Request;
  readonly fields: KnownFields;
  readonly body: CallerBody | null;
  /** Endpoints that earlier sendings used. */
  readonly tried: Endpoint[];
}

export interface SendingParts {
  readonly destination: Destination;
  readonly request: Request;
  readonly earlier: Sending | null;
}

/** Who hears what came of a sending, once. */
export interface SendingOwner {
  answered(response: Response): void;
  /** With a MessageFailure when no head of an answer came. */
  failed(error: unknown): void;
}

export class Sending implements AttemptOwner, AnswerOwner {
  readonly method: string;
  /** The same request's sending before this one. */
  readonly earlier: Sending | null;
  readonly #sent: SentRequest;
  readonly #service: Service;
  readonly #request: Request;
  readonly #outgoing: OutgoingRequest;
  readonly #attempt: Attempt;
  readonly #owner: SendingOwner;
  #body: OutgoingBody;
  #answer: AnswerBody | null = null;
  /** Whether there was an answer or a failure: an Error is too dear to be made for nothing. */
  #settled = false;
  #unschedule: () => void = ignore;

  constructor(sent: SentRequest, owner: SendingOwner, { destination, request, earlier }: SendingParts) {
    this.#sent = sent;
    this.#owner = owner;
    this.#service = destination.service;
    this.#request = request;
    this.earlier = earlier;
    this.#outgoing = outgoingRequest(request, sent.original);
    this.#body = this.#outgoing.body;
    this.method = this.#outgoing.method;
    this.#attempt = new Attempt(destination, this, sent.tried);
  }

  start(change: SendChange): void {
    if (change.timeoutMs !== undefined || change.signal !== undefined) this.#limit(change);
    this.#attempt.start();
  }

  /** A try may have less time than the route, and its own reason to end. */
  #limit({ timeoutMs, signal }: SendChange): void {
    if (timeoutMs !== undefined) {
      const { clock } = this.#service.parts;
      this.#unschedule = expiry(clock, timeoutMs, () => this.stop("timeout"));
    }
    signal?.addEventListener("abort", () => this.stop("unwanted"), { once: true });
  }

  /** Nobody wants it any more, or its time is over; what was not answered yet fails, what was is cut off. */
  stop(why: "timeout" | "unwanted"): void {
    this.#unschedule();
    if (this.#settled) {
      this.#answer?.abandon();
      return;
    }
    if (why === "timeout") this.#attempt.timeOut();
    else this.#attempt.finish();
    const kind = why === "timeout" ? "upstream-timeout" : "cancelled";
    const name = this.#service.config.name;
    this.#fail(new MessageFailure(kind, `service ${name} did not answer in time`, { side: "upstream" }));
  }

  #fail(failure: unknown): void {
    this.#settled = true;
    this.#owner.failed(failure);
  }

  // ---- the attempt's owner ----

  keyValue(key: RequestKey): string | null {
    const { exchange } = this.#sent;
    return requestKey(key, messageFacts(this.#request, exchange)) ?? exchange.newKeyValue(key);
  }

  get repeatable(): "yes" | "no" {
    const body = this.#body;
    const held = body.kind === "source" && body.source === this.#sent.body && this.#sent.body.held !== null;
    return held || body.kind === "none" || body.kind === "bytes" ? "yes" : "no";
  }

  sendTo(upstream: UpstreamConnection, endpoint: Endpoint): void {
    const { exchange, body: callerBody } = this.#sent;
    exchange.endpoint = endpoint;
    let body = this.#body;
    try {
      if (body.kind === "source" && body.source === callerBody) {
        if (callerBody.held === null) callerBody.take();
        else body = { kind: "bytes", bytes: callerBody.held };
      }
    } catch (error) {
      upstream.ready();
      this.#attempt.finish();
      this.#fail(error);
      return;
    }
    const direct = body.kind === "source" && body.source === callerBody;
    const framing = direct ? directFraming(callerBody!.lengthBytes) : framingOf(body);
    upstream.begin(this.#attempt, framing.kind === "copied" ? "length" : framing.kind);
    const { fields } = this.#outgoing;
    exchange.writeHead(upstream, {
      fields:
        fields.source === this.#sent.fields ? this.#sent.fields : knownFields(fields.source ?? NO_FIELDS),
      removed: fields.removed,
      added: fields.added,
      line: this.#line(),
      body: framing,
    });
    if (direct) exchange.sendBody(upstream);
    else if (body.kind !== "none") deliver(body, upstream);
  }

  /** Null when neither method nor target were changed. */
  #line(): RequestLine | null {
    const { exchange } = this.#sent;
    const { url } = this.#outgoing;
    if (url === null && this.method === exchange.method) return null;
    const target = url === null ? exchange.target : targetOf(url);
    return { method: this.method, target };
  }

  onInformational(head: Head): void {
    this.#sent.exchange.onInformational(head);
  }

  onHead(upstream: UpstreamConnection, head: Head, facts: ResponseFacts): void {
    this.#unschedule();
    const { endpoint } = this.#attempt;
    this.#sent.exchange.endpoint = endpoint;
    // A filter may send once more: to another one then.
    this.#sent.tried.push(endpoint!);
    const { response, body } = receivedAnswer(upstream, { head, facts, owner: this });
    this.#answer = body;
    this.#settled = true;
    this.#owner.answered(response);
  }

  answerEnded(): void {
    this.#attempt.finish();
  }

  onUpgraded(upstream: UpstreamConnection, head: Head): void {
    this.#unschedule();
    this.#settled = true;
    this.#attempt.finish();
    this.#sent.exchange.onUpgraded(upstream, head);
  }

  onFailure(failure: Failure): void {
    this.#unschedule();
    this.#sent.exchange.endpoint = this.#attempt.endpoint;
    this.#fail(failure);
  }
}

const NO_FIELDS = { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 };

const NONE: RequestFraming = { kind: "none" };
const CHUNKED: RequestFraming = { kind: "chunked" };
const COPIED: RequestFraming = { kind: "copied" };

function ignore(): void {}

function directFraming(lengthBytes: number | null): RequestFraming {
  return lengthBytes === null ? CHUNKED : COPIED;
}

/** How the end of a body that filters made or changed is told to a service. */
export function framingOf(body: OutgoingBody): RequestFraming {
  if (body.kind === "none") return NONE;
  if (body.kind === "bytes") return { kind: "length", bytes: body.bytes.length };
  const length = body.kind === "source" ? body.source.lengthBytes : null;
  return length === null ? CHUNKED : { kind: "length", bytes: length };
}

/** Path and query of an absolute URL. */
export function targetOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
