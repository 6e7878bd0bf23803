/** Who keeps a connection to a service, whose call it carries, and where it goes. */
import type { Address, SocketError, TlsTarget } from "../../machine.ts";
import type { MessageLimits } from "../../snapshot.ts";
import type { Failure } from "../../types.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Head } from "./head.ts";
import type { ResponseFacts } from "./response-rules.ts";

/** Who owns the connections of an endpoint. */
export interface ConnectionKeeper<Connection> {
  readonly limits: MessageLimits;
  readonly idleTimeoutMs: number;
  readonly deadlines: Deadlines;
  connected(connection: Connection): void;
  connectFailed(connection: Connection, error: SocketError): void;
  /** Ready for another request. */
  idle(connection: Connection): void;
  closed(connection: Connection): void;
}

/** Who made the call that a connection carries. */
export interface CallOwner {
  readonly method: string;
  /** A 1xx other than 101; the head is the connection's and gone afterwards. */
  onInformational(head: Head): void;
  /** The answer's head; its body waits for `pipe`. The head is the connection's until the body's end. */
  onHead(head: Head, facts: ResponseFacts): void;
  /** 101: from now on bytes. What came after the head is delivered by `pipe` of the tunnel. */
  onUpgraded(head: Head): void;
  /** No head will come. */
  onFailure(failure: Failure): void;
}

/** Where a connection goes. */
export interface Destination {
  readonly address: Address;
  readonly tls: TlsTarget | null;
  /** Until the connection stands, its handshake included. */
  readonly connectTimeoutMs: number;
}
