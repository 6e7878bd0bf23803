/** The one table from what went wrong to what a caller is told: status, stable reason, one sentence. */
import type { Failure } from "../types.ts";

export interface Answer {
  readonly status: number;
  /** The code in `x-clearway-reason`. */
  readonly reason: string;
  /** For the caller: says nothing of what is behind. */
  readonly sentence: string;
}

function answer(status: number, reason: string, sentence: string): Answer {
  return { status, reason, sentence };
}

/** Answers that Clearway makes itself, by reason. */
export const ANSWERS = {
  "no-route": answer(404, "no-route", "no route of this listener matches the request"),
  "no-healthy-endpoint": answer(503, "no-healthy-endpoint", "no endpoint of the service could be reached"),
  "service-overloaded": answer(
    503,
    "service-overloaded",
    "the service is at its limit of requests or connections",
  ),
  "upstream-timeout": answer(504, "upstream-timeout", "the service did not answer in time"),
  "upstream-reset": answer(502, "upstream-reset", "the service closed the connection before it answered"),
  truncated: answer(502, "upstream-reset", "the service closed the connection in the middle of its answer"),
  "upstream-malformed": answer(
    502,
    "upstream-malformed",
    "the service answered with bytes that are not HTTP",
  ),
  "upstream-unexpected-upgrade": answer(502, "upstream-malformed", "the service switched protocols unasked"),
  "filter-error": answer(500, "filter-error", "a filter of this route failed"),
  "internal-error": answer(500, "internal-error", "the proxy failed; its log says how"),
  "loop-detected": answer(508, "loop-detected", "the request has passed this node before"),
  "tls-required": answer(
    400,
    "tls-required",
    "this port speaks HTTPS; begin the URL with https:// or turn on TLS at the caller",
  ),
  "certificate-required": answer(
    403,
    "certificate-required",
    "this listener asks for a client certificate, and was shown none",
  ),
  "certificate-not-believed": answer(
    403,
    "certificate-not-believed",
    "this listener does not believe the client certificate that it was shown",
  ),
  "mtls-required": answer(
    400,
    "mtls-required",
    "this port takes only services of the mesh, by mTLS: call through a sidecar or a gateway",
  ),
  "identity-refused": answer(403, "identity-refused", "this mesh does not know the caller any more"),
  "misdirected-request": answer(
    421,
    "misdirected-request",
    "this host asks for another client certificate than the one that the connection was made for",
  ),
  "bad-path": answer(400, "bad-path", "the path is not one that may be forwarded"),
  "header-timeout": answer(408, "header-timeout", "the request's head did not arrive in time"),
  "body-timeout": answer(408, "body-timeout", "the request's body stopped arriving"),
  "body-too-large": answer(413, "body-too-large", "the request's body is larger than a filter may hold"),
  "bad-body": answer(400, "bad-body", "the request's body is not framed as HTTP asks"),
  "egress-denied": answer(
    403,
    "egress-denied",
    "callers of this node may not reach this host: it is not in the mesh",
  ),
  "no-such-service": answer(502, "no-such-service", "the mesh has no service of this name"),
  "service-unknown": answer(
    503,
    "service-unknown",
    "this node has not heard of the service yet; it may when you try again",
  ),
  "host-not-found": answer(502, "host-not-found", "the name of the host leads to no address"),
  "tls-in-tunnel": answer(
    400,
    "tls-in-tunnel",
    "services of the mesh are called with http://, and the mesh encrypts what goes to them",
  ),
  "tunnel-required": answer(400, "tunnel-required", "https hosts outside the mesh are reached with CONNECT"),
  draining: answer(503, "draining", "the node is about to stop"),
} as const satisfies Record<string, Answer>;

/** The reason of an answer that a filter itself refused with; status and body are the filter's. */
export const REFUSED_BY_FILTER = "refused-by-filter";

export type FailureKind =
  | keyof typeof ANSWERS
  | "caller-left"
  | "cancelled"
  | "body-consumed"
  | "connect-failure";

export class MessageFailure extends Error implements Failure {
  readonly kind: FailureKind;
  readonly side: "upstream" | "downstream" | "mesh";
  readonly retryable: boolean;
  /** What the caller is told instead of the kind's own sentence. */
  readonly sentence: string | null;

  constructor(
    kind: FailureKind,
    message: string,
    facts: { side: "upstream" | "downstream"; retryable?: "yes"; sentence?: string },
  ) {
    super(message);
    this.name = "MessageFailure";
    this.kind = kind;
    this.side = facts.side;
    this.retryable = facts.retryable === "yes";
    this.sentence = facts.sentence ?? null;
  }
}

/** What the caller is told of a failure. */
export function answerTo(error: unknown): Answer {
  if (!(error instanceof MessageFailure) || !(error.kind in ANSWERS)) return ANSWERS["internal-error"];
  const { sentence } = error;
  const known = ANSWERS[error.kind as keyof typeof ANSWERS];
  return sentence === null ? known : { ...known, sentence };
}

/** Refusals of a head that cannot be read or trusted; the codec's problems, with their statuses. */
const HEAD_STATUSES: Readonly<Record<string, number>> = {
  "bad-version": 505,
  "request-line-too-long": 414,
  "header-too-large": 431,
  "too-many-fields": 431,
  "unknown-transfer-encoding": 501,
  "unknown-expectation": 417,
  "connect-refused": 405,
};

const HEAD_SENTENCES: Readonly<Record<string, string>> = {
  "tls-on-plain-port": "the caller speaks TLS, and this listener does not (protocol: https would)",
  "bad-request-line": "the request line is not METHOD SP target SP HTTP/1.1",
  "bad-version": "only HTTP/1.1 and HTTP/1.0 are spoken here",
  "bad-field-name": "a header name holds a byte that no name may hold",
  "bad-field-value": "a header value holds a control byte",
  "bad-line-end": "a line does not end with CR LF",
  "request-line-too-long": "the request line is longer than this listener allows",
  "header-too-large": "the header section is larger than this listener allows",
  "too-many-fields": "there are more header fields than this listener allows",
  "bad-host": "the Host is not host[:port]",
  "missing-host": "an HTTP/1.1 request needs a Host",
  "repeated-host": "there is more than one Host",
  "bad-target": "the request target is not a path, an http URL, or * with OPTIONS",
  "bad-content-length": "Content-Length is not one whole number",
  "bad-transfer-encoding": "Transfer-Encoding is not chunked, or not allowed here",
  "unknown-transfer-encoding": "only the chunked transfer coding is spoken here",
  "length-and-transfer-encoding": "Content-Length and Transfer-Encoding exclude each other",
  "unknown-expectation": "only Expect: 100-continue is known here",
  "bad-authority": "the target of CONNECT is not host:port with a port from 1 to 65535",
  "connect-with-body": "CONNECT has no body",
  "connect-refused": "CONNECT is for forward proxies; this listener is a gateway",
};

/** The answer to a head that the codec refused. */
export function headAnswer(problem: string): Answer {
  return answer(
    HEAD_STATUSES[problem] ?? 400,
    problem,
    HEAD_SENTENCES[problem] ?? "the request cannot be read",
  );
}
