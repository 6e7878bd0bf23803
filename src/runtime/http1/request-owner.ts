import type { Failure } from "../../types.ts";
import type { Answer } from "../failures.ts";
import type { SocketSetting } from "./caller-socket.ts";

/** Who takes the requests of a listener's connections. */
export interface ConnectionTaker<Connection> extends SocketSetting {
  /** When draining, answers close their connections. */
  readonly draining: "yes" | "no";
  /** Whether a caller may ask for a tunnel. */
  readonly connect: "refused" | "taken";
  take(connection: Connection): RequestOwner;
  /** A head was refused by the codec; it has been answered. */
  refused(connection: Connection, answer: Answer): void;
  closed(connection: Connection): void;
}

/** Where a tunnel leads that a caller asked for; the host in lower case. */
export interface TunnelTarget {
  readonly authority: string;
  readonly host: string;
}

/** Who answers one request. */
export interface RequestOwner {
  start(): void;
  /** The caller left, or was sent away, before the answer was whole. */
  onBroken(failure: Failure): void;
  /** Nothing was answered yet, and no service will: the time is over, or the body is bad. */
  giveUp(answer: Answer): void;
  /** The answer's last byte was given to the connection. */
  onAnswered(): void;
}
