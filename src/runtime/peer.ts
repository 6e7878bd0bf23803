/** The caller at the other end of a connection. */
import { Forwarder } from "./forwarded.ts";
import type { LiveListener } from "./generation.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";

/** What stays the same for all requests of one connection under one generation. */
export class Peer {
  readonly forwarder: Forwarder;

  constructor(
    readonly listener: LiveListener,
    connection: DownstreamConnection,
  ) {
    this.forwarder = new Forwarder({
      remoteAddress: connection.remoteAddress,
      scheme: "http",
      trustedHops: listener.config.trustedHops,
      pseudonym: listener.generation.parts.pseudonym,
    });
  }
}
