/** A call to a service that no caller's request stands behind: a filter's own (`tools.call`). */

import { type CallerFacts, messageFacts, requestKey } from "../keys.ts";
import type { RequestKey } from "../snapshot.ts";
import type { Failure } from "../types.ts";
import { type AnswerBody, type AnswerOwner, receivedAnswer } from "./answer-body.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import { expiry } from "./expiry.ts";
import { MessageFailure } from "./failures.ts";
import { outgoingRequest } from "./fetch/outgoing.ts";
import type { OutgoingRequest } from "./fetch/sources.ts";
import { FieldKind, fieldKind, knownFields } from "./http1/fields.ts";
import { Head } from "./http1/head.ts";
import { kindSet, PER_CONNECTION } from "./http1/head-writer.ts";
import { writeRequestHead } from "./http1/request-writer.ts";
import type { ResponseFacts } from "./http1/response-rules.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import { deliver } from "./respond.ts";
import { framingOf, targetOf } from "./sending.ts";
import type { Destination } from "./service.ts";
import { flushWires } from "./wire.ts";

/**
 * Sends the request; rejects with a MessageFailure when no head of an answer came in `timeoutMs`. The request's signal
 * gives it up, also while the answer's body is on its way.
 */
export function callService(
  destination: Destination,
  request: Request,
  options: { timeoutMs: number; pseudonym: string; tried?: Endpoint[] },
): Promise<Response> {
  return new Promise((resolve, reject) => {
    destination.service.parts.deadlines.touch();
    const call = new ServiceCall(destination, request, { ...options, resolve, reject });
    call.start();
    flushWires();
  });
}

/** A request that no head stands behind. */
const NO_HEAD = new Head();
const NOBODY: CallerFacts = { remoteAddress: "unknown", routeName: "", identity: null, claims: undefined };
const NO_FIELDS = { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 };

/** Headers that came with another request also say things of that one's connection, and have its Host. */
const UNSAID = PER_CONNECTION | kindSet(FieldKind.Host, FieldKind.Expect);

function mayBeSaid(name: string): boolean {
  return ((UNSAID >> fieldKind(Buffer.from(name, "latin1"), 0, name.length)) & 1) === 0;
}

interface CallOptions {
  readonly timeoutMs: number;
  readonly pseudonym: string;
  /** Endpoints that earlier calls for the same purpose used; this one adds to it. */
  readonly tried?: Endpoint[];
  resolve(response: Response): void;
  reject(failure: unknown): void;
}

class ServiceCall implements AttemptOwner, AnswerOwner {
  readonly method: string;
  readonly #outgoing: OutgoingRequest;
  readonly #request: Request;
  readonly #attempt: Attempt;
  readonly #options: CallOptions;
  readonly #unschedule: () => void;
  #body: AnswerBody | null = null;

  constructor(destination: Destination, request: Request, options: CallOptions) {
    this.#request = request;
    this.#outgoing = outgoingRequest(request, request);
    this.#options = options;
    this.method = this.#outgoing.method;
    this.#attempt = new Attempt(destination, this, options.tried ?? []);
    const { clock } = destination.service.parts;
    this.#unschedule = expiry(clock, options.timeoutMs, () => this.#stop("upstream-timeout"));
  }

  keyValue(key: RequestKey): string | null {
    return requestKey(key, messageFacts(this.#request, NOBODY));
  }

  get repeatable(): "yes" | "no" {
    return this.#outgoing.body.kind === "none" ? "yes" : "no";
  }

  start(): void {
    const { signal } = this.#request;
    if (signal.aborted) {
      this.onFailure(new MessageFailure("cancelled", "the call was given up", { side: "upstream" }));
      return;
    }
    signal.addEventListener("abort", () => this.#stop("cancelled"), { once: true });
    this.#attempt.start();
  }

  #stop(why: "upstream-timeout" | "cancelled"): void {
    if (this.#body !== null) this.#body.abandon();
    else if (why === "cancelled") this.#attempt.finish();
    else this.#attempt.timeOut();
    this.onFailure(new MessageFailure(why, "the service did not answer in time", { side: "upstream" }));
  }

  sendTo(upstream: UpstreamConnection): void {
    const { fields, body } = this.#outgoing;
    const framing = framingOf(body);
    upstream.begin(this.#attempt, framing.kind === "copied" ? "length" : framing.kind);
    writeRequestHead(upstream.wire, NO_HEAD, {
      line: { method: this.method, target: targetOf(this.#request.url) },
      fields: knownFields(fields.source ?? NO_FIELDS),
      removed: fields.removed,
      added: fields.added.filter((_, at) => mayBeSaid(fields.added[at - (at % 2)]!)),
      authority: new URL(this.#request.url).host,
      forwarded: Buffer.from(`Via: 1.1 ${this.#options.pseudonym}\r\n`, "latin1"),
      provenance: "replaced",
      body: framing,
      expect: "drop",
      upgrade: "drop",
    });
    if (body.kind !== "none") deliver(body, upstream);
  }

  onInformational(): void {}

  onHead(upstream: UpstreamConnection, head: Head, facts: ResponseFacts): void {
    this.#unschedule();
    this.#attempt.tried.push(this.#attempt.endpoint!);
    const { response, body } = receivedAnswer(upstream, { head, facts, owner: this });
    this.#body = body;
    this.#options.resolve(response);
  }

  answerEnded(): void {
    this.#attempt.finish();
  }

  onUpgraded(upstream: UpstreamConnection): void {
    this.#attempt.finish();
    upstream.abort();
    this.#options.reject(new Error("the service switched protocols unasked"));
  }

  onFailure(failure: Failure): void {
    this.#unschedule();
    this.#options.reject(failure);
  }
}
