/** The caller at the other end of a connection. */
import type { Answer } from "./failures.ts";
import { Forwarder } from "./forwarded.ts";
import type { LiveListener } from "./generation.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import { identityOf } from "./tls/identity.ts";

/** What stays the same for all requests of one connection under one generation. */
export class Peer {
  readonly forwarder: Forwarder;
  readonly scheme: "http" | "https";
  /** Null unless TLS proved one. */
  readonly identity: string | null;
  /** Whether a connection that began now would have to prove the same. */
  readonly proof: "current" | "outdated";
  /** Why none of its requests is served; null where they are. */
  readonly refusal: Answer | null;
  /** When the certificate ends that lets it in; Infinity where it takes none. */
  readonly provedUntilEpochMs: number;
  /** With `no`, each request asks whether its caller may go on. */
  readonly settled: "yes" | "no";

  constructor(
    readonly listener: LiveListener,
    connection: DownstreamConnection,
  ) {
    this.scheme = connection.tls === null ? "http" : "https";
    this.identity = identityOf(connection.tls?.peer);
    this.proof = isCurrent(listener, connection) ? "current" : "outdated";
    const { callers } = listener;
    this.refusal = callers?.refusal(connection.tls) ?? null;
    this.provedUntilEpochMs =
      callers === null ? Infinity : (connection.tls?.peer?.expiresEpochMs ?? Infinity);
    this.settled = this.proof === "current" && callers === null ? "yes" : "no";
    this.forwarder = new Forwarder({
      remoteAddress: connection.remoteAddress,
      scheme: this.scheme,
      trustedHops: listener.config.trustedHops,
      pseudonym: listener.pseudonym,
      identity: listener.callers === null ? null : this.identity,
    });
  }
}

function isCurrent({ certificates, callers }: LiveListener, { entrance }: DownstreamConnection): boolean {
  if (entrance === null && callers?.plain === "served") return true;
  if (certificates === null || entrance === null) return certificates === null && entrance === null;
  return certificates.asksAsThen(entrance);
}
