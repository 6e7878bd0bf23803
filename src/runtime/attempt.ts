/**
 * One sending of a request to a service: picks an endpoint, gets a connection, writes the request, and tells its owner
 * of the answer's head or of a failure - exactly one of the two, once.
 *
 * A connection that could not be made carried nothing, so up to two other endpoints follow at once, those of earlier
 * tries of the same request too: who cannot be reached uses no try up while another is there. A connection that
 * was kept too long and closed under a safe request without a body is replaced by a fresh one.
 */

import type { SocketError } from "../machine.ts";
import type { RequestKey } from "../snapshot.ts";
import type { Failure } from "../types.ts";
import type { KeyedRequest } from "./balance/policy.ts";
import type { Candidates, Endpoint, Waiter } from "./endpoint.ts";
import { MessageFailure } from "./failures.ts";
import type { CallOwner } from "./http1/call-owner.ts";
import type { Head } from "./http1/head.ts";
import type { ResponseFacts } from "./http1/response-rules.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";
import type { Destination, Service } from "./service.ts";

export interface AttemptOwner extends KeyedRequest {
  readonly method: string;
  /** Writes head and body of the request to the connection. */
  sendTo(connection: UpstreamConnection, endpoint: Endpoint): void;
  onInformational(head: Head): void;
  onHead(connection: UpstreamConnection, head: Head, facts: ResponseFacts): void;
  onUpgraded(connection: UpstreamConnection, head: Head): void;
  onFailure(failure: Failure): void;
  /** Whether the request can be written once more: nothing of its body was given away. */
  readonly repeatable: "yes" | "no";
}

/** Endpoints that are tried when connections cannot be made, the first included. */
const ENDPOINTS_MAX = 3;
/** Stale connections that are replaced under one request. */
const STALE_MAX = 2;

/** To a caller whose service has a name that leads nowhere. */
const NOT_DISCOVERED = "discovery knows no endpoint of the service; the node's log says why";

const NONE: readonly Endpoint[] = [];
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export class Attempt implements Waiter, CallOwner {
  endpoint: Endpoint | null = null;
  /** Connections tried in all; for the summary and the log. */
  connects = 0;
  readonly #service: Service;
  readonly #owner: AttemptOwner;
  readonly candidates: Candidates;
  readonly tried: Endpoint[];
  #state: "waiting" | "sent" | "answered" | "ended" = "waiting";
  #connection: UpstreamConnection | null = null;
  /** Whose connection it got or waits for. */
  #towards: Endpoint | null = null;
  /** Endpoints that it was passed over from. */
  #unreachable: readonly Endpoint[] = NONE;
  #startedAtMs = 0;
  #stale = 0;

  /** `tried`: endpoints that earlier tries of the same request used; this one adds to it. */
  constructor({ service, candidates }: Destination, owner: AttemptOwner, tried: Endpoint[]) {
    this.#service = service;
    this.candidates = candidates;
    this.#owner = owner;
    this.tried = tried;
  }

  get method(): string {
    return this.#owner.method;
  }

  get waiting(): "yes" | "no" {
    return this.#state === "waiting" ? "yes" : "no";
  }

  keyValue(key: RequestKey): string | null {
    return this.#owner.keyValue(key);
  }

  start(): void {
    const service = this.#service;
    if (service.requests >= service.config.limits.requests) {
      this.#state = "ended";
      this.#owner.onFailure(overloaded(service, "requests"));
      return;
    }
    service.requests++;
    this.#connect("any");
  }

  roomMade(): void {
    this.#connect("any");
  }

  #connect(wanted: "any" | "fresh"): void {
    const endpoint = this.#other() ?? this.candidates.pick(this.tried, this);
    if (endpoint === null) this.#fail(nobody(this.#service, this.candidates));
    else this.#connectTo(endpoint, wanted);
  }

  #connectTo(endpoint: Endpoint, wanted: "any" | "fresh"): void {
    this.#towards = endpoint;
    if (this.#service.connect(endpoint, this, wanted) === "full")
      this.#fail(overloaded(this.#service, "connections"));
  }

  use(connection: UpstreamConnection, endpoint: Endpoint): void {
    this.endpoint = endpoint;
    this.#towards = endpoint;
    this.#connection = connection;
    this.#state = "sent";
    this.connects++;
    this.#startedAtMs = endpoint.begin();
    this.#owner.sendTo(connection, endpoint);
  }

  connectFailed(endpoint: Endpoint, error: SocketError): void {
    endpoint.failed(endpoint.begin());
    this.endpoint = endpoint;
    this.connects++;
    this.#passOver(endpoint, inWords(error));
  }

  /** Nothing was sent to it, or nothing read of that. */
  #passOver(endpoint: Endpoint, why: string): void {
    this.tried.push(endpoint);
    this.#unreachable = [...this.#unreachable, endpoint];
    const other = this.connects < ENDPOINTS_MAX ? this.#other() : null;
    if (other !== null) this.#connectTo(other, "any");
    else this.#fail(unreachable(this.#service, `${endpoint.name}: ${why}`));
  }

  /** Than those that it could not reach; null while it could reach all, and when there is none. */
  #other(): Endpoint | null {
    const unreachable = this.#unreachable;
    return unreachable.length === 0 ? null : this.candidates.pickInstead(unreachable, this);
  }

  onInformational(head: Head): void {
    this.#owner.onInformational(head);
  }

  onHead(head: Head, facts: ResponseFacts): void {
    const connection = this.#connection!;
    this.endpoint!.answered(this.#startedAtMs, head.status);
    this.#state = "answered";
    this.#owner.onHead(connection, head, facts);
  }

  onUpgraded(head: Head): void {
    this.endpoint!.answered(this.#startedAtMs, 101);
    this.#state = "answered";
    this.#owner.onUpgraded(this.#connection!, head);
  }

  /** Its connection carries bytes from now on, and no answer will come. */
  tunnelled(): void {
    this.endpoint!.answered(this.#startedAtMs, 200);
    this.#state = "answered";
  }

  onFailure(failure: Failure): void {
    const endpoint = this.endpoint!;
    if (failure.kind === "connect-failure") {
      this.#turnedDown(endpoint, failure);
      return;
    }
    const safe = SAFE_METHODS.has(this.#owner.method) && this.#owner.repeatable === "yes";
    if (failure.retryable && safe && this.#stale < STALE_MAX) {
      this.#stale++;
      endpoint.abandoned(this.#startedAtMs);
      this.#state = "waiting";
      this.#connection = null;
      this.#connect("fresh");
      return;
    }
    endpoint.failed(this.#startedAtMs);
    this.tried.push(endpoint);
    this.#fail(
      new MessageFailure(failureKind(failure), `${endpoint.name} ${failure.message}`, { side: "upstream" }),
    );
  }

  /** It does not believe who this node is, and read nothing; but what was given to it of a body is gone. */
  #turnedDown(endpoint: Endpoint, { message }: Failure): void {
    endpoint.failed(this.#startedAtMs);
    this.#state = "waiting";
    this.#connection = null;
    if (this.#owner.repeatable === "yes") {
      this.#passOver(endpoint, message);
      return;
    }
    this.tried.push(endpoint);
    this.#fail(unreachable(this.#service, `${endpoint.name}: ${message}`, "no"));
  }

  /** The answer's body ended, or nobody wants an answer any more. */
  finish(): void {
    if (this.#state === "ended") return;
    const { endpoint } = this;
    if (this.#state === "sent" && endpoint !== null) {
      endpoint.abandoned(this.#startedAtMs);
      this.tried.push(endpoint);
    }
    const unfinished = this.#state === "sent" ? this.#connection : null;
    this.#end();
    unfinished?.abort();
  }

  /** It took too long: that is the endpoint's failure, unlike a caller who left. */
  timeOut(): void {
    if (this.#towards !== null) this.tried.push(this.#towards);
    if (this.#state !== "sent") {
      this.finish();
      return;
    }
    this.endpoint!.failed(this.#startedAtMs);
    const connection = this.#connection;
    this.#end();
    connection?.abort();
  }

  #fail(failure: Failure): void {
    this.#end();
    this.#owner.onFailure(failure);
  }

  #end(): void {
    if (this.#state === "waiting") this.#service.leaveLine(this);
    this.#state = "ended";
    this.#connection = null;
    this.#service.requests--;
  }
}

function failureKind(failure: Failure): "upstream-malformed" | "upstream-reset" {
  return failure.kind === "upstream-malformed" ? "upstream-malformed" : "upstream-reset";
}

/** The system's codes say enough; a handshake has many ways to fail. */
function inWords({ code, message }: SocketError): string {
  return code === "ETLS" ? message : code;
}

function unreachable(service: Service, why: string, repeatable: "yes" | "no" = "yes"): Failure {
  return new MessageFailure("no-healthy-endpoint", `service ${service.config.name}: ${why}`, {
    side: "upstream",
    ...(repeatable === "yes" ? { retryable: "yes" } : {}),
  });
}

/** The caller hears that it is discovery, and not which names it asked for: those are the node's own affair. */
function nobody({ config, roster }: Service, { emptiness }: Candidates): Failure {
  const { discoveryProblem } = roster;
  const why = discoveryProblem === null ? emptiness : `${emptiness}: ${discoveryProblem}`;
  return new MessageFailure("no-healthy-endpoint", `service ${config.name}: ${why}`, {
    side: "upstream",
    retryable: "yes",
    ...(discoveryProblem === null ? {} : { sentence: NOT_DISCOVERED }),
  });
}

function overloaded(service: Service, limit: "requests" | "connections"): Failure {
  const most = service.config.limits[limit];
  return new MessageFailure(
    "service-overloaded",
    `service ${service.config.name} is at its limit of ${most} ${limit}`,
    {
      side: "upstream",
      retryable: "yes",
    },
  );
}
