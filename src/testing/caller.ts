/** Who sends a test's requests: each on a connection of its own, with the codec of the proxy's other side. */
import type { Address, SocketError, SocketOwner } from "../machine.ts";
import { receivedAnswer } from "../runtime/answer-body.ts";
import type { Deadlines } from "../runtime/deadlines.ts";
import { outgoingRequest } from "../runtime/fetch/outgoing.ts";
import type { CallOwner, ConnectionKeeper } from "../runtime/http1/call-owner.ts";
import { knownFields } from "../runtime/http1/fields.ts";
import { Head } from "../runtime/http1/head.ts";
import { writeRequestHead } from "../runtime/http1/request-writer.ts";
import type { ResponseFacts } from "../runtime/http1/response-rules.ts";
import { UpstreamConnection } from "../runtime/http1/upstream.ts";
import { deliver } from "../runtime/respond.ts";
import { framingOf, targetOf } from "../runtime/sending.ts";
import { flushWires } from "../runtime/wire.ts";
import type { MessageLimits } from "../snapshot.ts";
import type { Failure } from "../types.ts";
import type { ConnectingFacts, MemoryNetwork } from "./memory-network.ts";
import type { PassingTime } from "./passing-time.ts";

export interface CallerParts {
  readonly network: MemoryNetwork;
  readonly deadlines: Deadlines;
  readonly limits: MessageLimits;
  readonly time: PassingTime;
  readonly address: Address;
}

/** Rejects when no head of an answer comes. The request's signal makes the caller leave. */
export function sendAsCaller(
  parts: CallerParts,
  request: Request,
  facts: ConnectingFacts,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    new CallerExchange(parts, request, { resolve, reject }).start(facts);
  });
}

const NO_HEAD = new Head();
const NO_FIELDS = { bytes: Buffer.alloc(0), offsets: new Int32Array(0), count: 0 };
const NO_LINES = Buffer.alloc(0);

interface Outcome {
  resolve(response: Response): void;
  reject(error: unknown): void;
}

class CallerExchange implements ConnectionKeeper<UpstreamConnection>, CallOwner {
  readonly method: string;
  readonly limits: MessageLimits;
  readonly idleTimeoutMs = 0;
  readonly deadlines: Deadlines;
  readonly #parts: CallerParts;
  readonly #request: Request;
  readonly #outcome: Outcome;
  readonly #connection: UpstreamConnection;

  constructor(parts: CallerParts, request: Request, outcome: Outcome) {
    this.#parts = parts;
    this.#request = request;
    this.#outcome = outcome;
    this.method = request.method;
    this.limits = parts.limits;
    this.deadlines = parts.deadlines;
    this.#connection = new UpstreamConnection(this);
  }

  start(facts: ConnectingFacts): void {
    const { network, address, limits } = this.#parts;
    const { signal } = this.#request;
    this.deadlines.touch();
    const sockets = {
      connect: (to: Address, owner: SocketOwner) => network.dial(to, owner, facts),
    };
    const connectTimeoutMs = limits.silenceTimeoutMs;
    this.#connection.open(sockets, { address, tls: null, connectTimeoutMs });
    signal.addEventListener("abort", () => this.#leave(), { once: true });
    if (signal.aborted) this.#leave();
  }

  #leave(): void {
    this.#connection.abort();
    this.#outcome.reject(this.#request.signal.reason);
  }

  // ---- the connection ----

  connected(connection: UpstreamConnection): void {
    const { fields, body } = outgoingRequest(this.#request, this.#request);
    const framing = framingOf(body);
    const { added } = fields;
    const host = added.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === "host");
    connection.begin(this, framing.kind === "copied" ? "length" : framing.kind);
    writeRequestHead(connection.wire, NO_HEAD, {
      line: { method: this.method, target: targetOf(this.#request.url) },
      fields: knownFields(fields.source ?? NO_FIELDS),
      removed: fields.removed,
      added,
      authority: host < 0 ? new URL(this.#request.url).host : null,
      provenance: "replaced",
      forwarded: NO_LINES,
      body: framing,
      expect: "forward",
      upgrade: "drop",
    });
    if (body.kind !== "none") deliver(body, connection);
    flushWires();
  }

  connectFailed(_connection: UpstreamConnection, { message }: SocketError): void {
    this.#outcome.reject(new Error(`cannot connect to the listener: ${message}`));
  }

  idle(connection: UpstreamConnection): void {
    connection.retire();
  }

  closed(): void {}

  // ---- the answer ----

  onInformational(): void {}

  onHead(head: Head, facts: ResponseFacts): void {
    const { response } = receivedAnswer(this.#connection, { head, facts, owner: { answerEnded: () => {} } });
    this.#outcome.resolve(timed(response, this.#parts.time));
  }

  onUpgraded(): void {
    this.#connection.abort();
    this.#outcome.reject(new Error("cannot switch protocols: a test's request wants an answer"));
  }

  onFailure(failure: Failure): void {
    this.#outcome.reject(failure);
  }
}

/** The same answer, for whose body time passes while somebody waits for a piece of it. */
function timed(response: Response, time: PassingTime): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await time.whileWaiting(reader.read());
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}
