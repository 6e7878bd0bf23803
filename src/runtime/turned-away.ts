/** Connections beyond a listener's limit. */
import type { ByteSocket, SocketOwner } from "../types.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

/** Connections beyond the limit that are being told so. */
const REFUSING_MAX = 100;
/** How long such a one may take to close its side. */
const REFUSING_MS = 1_000;

const TOO_MANY = Buffer.from(
  "HTTP/1.1 503 Service Unavailable\r\nx-clearway-reason: too-many-connections\r\n" +
    "content-type: text/plain; charset=utf-8\r\ncontent-length: 58\r\nconnection: close\r\n\r\n" +
    "too-many-connections: this node is at its limit, try later",
);

/** How a listener at its limit takes leave of further callers. */
export class TurnedAway {
  readonly #deadlines: Deadlines;
  readonly #refusing = new Set<Refused>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** Being told takes a moment; beyond a bound there is none. */
  politely(): SocketOwner {
    return this.#refusing.size < REFUSING_MAX ? new Refused(this.#refusing, this.#deadlines) : new Closed();
  }

  /** For a caller that would understand nothing before a handshake, which costs more than all else. */
  silently(): SocketOwner {
    return new Closed();
  }
}

/** A connection beyond the limit: told so, and closed - by the caller first, since closing on unread bytes would reset. */
class Refused implements SocketOwner {
  readonly #refusing: Set<Refused>;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline;
  #socket: ByteSocket | null = null;

  constructor(refusing: Set<Refused>, deadlines: Deadlines) {
    this.#refusing = refusing;
    this.#deadlines = deadlines;
    this.#deadline = deadlines.create(() => this.#socket?.close());
  }

  onOpen(socket: ByteSocket): void {
    this.#socket = socket;
    this.#refusing.add(this);
    this.#deadline.set(this.#deadlines.touch() + REFUSING_MS);
    socket.write(TOO_MANY, 0, TOO_MANY.length);
    socket.end();
  }

  onData(): void {}
  onDrain(): void {}

  onEnd(): void {
    this.#socket?.close();
  }

  onClose(): void {
    this.#refusing.delete(this);
    this.#deadline.remove();
  }
}

/** A connection for which there is not even time to say why. */
class Closed implements SocketOwner {
  onOpen(socket: ByteSocket): void {
    socket.reset();
  }
  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}
  onClose(): void {}
}
