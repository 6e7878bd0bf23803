/** Callers whose connections are not taken: they are beyond a listener's limit, or not believed. */
import type { ByteSocket, SocketOwner } from "../machine.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { ANSWERS, type Answer } from "./failures.ts";

/** Connections that are being told so. */
const REFUSING_MAX = 100;
/** How long such a one may take to close its side. */
const REFUSING_MS = 1_000;

/** What such a caller understands, by the protocol that it speaks. */
const TOO_MANY_TEXT = Buffer.from(
  "HTTP/1.1 503 Service Unavailable\r\nx-clearway-reason: too-many-connections\r\n" +
    "content-type: text/plain; charset=utf-8\r\ncontent-length: 58\r\nconnection: close\r\n\r\n" +
    "too-many-connections: this node is at its limit, try later",
);
const UNPROVED_TEXTS = {
  none: unproved(ANSWERS["certificate-required"]),
  shown: unproved(ANSWERS["certificate-not-believed"]),
};
/** A fatal alert, internal_error (RFC 8446, section 6): a handshake, to say it in words, would cost more than all else. */
const TOO_MANY_ALERT = Buffer.from([21, 3, 1, 0, 2, 2, 80]);

/** How a listener takes leave of them. */
export class TurnedAway {
  readonly #deadlines: Deadlines;
  readonly #refusing = new Set<Refused>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** Being told takes a moment; beyond a bound there is none. */
  owner(protocol: "http" | "https"): SocketOwner {
    return this.#teller(protocol === "http" ? TOO_MANY_TEXT : TOO_MANY_ALERT);
  }

  /** After its handshake. Not one byte of what it sends is read. */
  unproved(certificate: "none" | "shown"): SocketOwner {
    return this.#teller(UNPROVED_TEXTS[certificate]);
  }

  #teller(words: Buffer): SocketOwner {
    if (this.#refusing.size >= REFUSING_MAX) return new Closed();
    return new Refused(words, this.#refusing, this.#deadlines);
  }
}

/** A connection that is not taken: told so, and closed - by the caller first, since closing on unread bytes would reset. */
class Refused implements SocketOwner {
  readonly #words: Buffer;
  readonly #refusing: Set<Refused>;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline;
  #socket: ByteSocket | null = null;

  constructor(words: Buffer, refusing: Set<Refused>, deadlines: Deadlines) {
    this.#words = words;
    this.#refusing = refusing;
    this.#deadlines = deadlines;
    this.#deadline = deadlines.create(() => this.#socket?.close());
  }

  onOpen(socket: ByteSocket): void {
    this.#socket = socket;
    this.#refusing.add(this);
    this.#deadline.set(this.#deadlines.touch() + REFUSING_MS);
    socket.write(this.#words, 0, this.#words.length);
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

function unproved({ reason, sentence }: Answer): Buffer {
  const text = `${reason}: ${sentence}\n`;
  return Buffer.from(
    `HTTP/1.1 403 Forbidden\r\nx-clearway-reason: ${reason}\r\n` +
      `content-type: text/plain; charset=utf-8\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
  );
}
