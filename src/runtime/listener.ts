/** One bound address: accepts connections, up to its limits, and gives their requests to the newest generation. */
import type { MessageLimits } from "../snapshot.ts";
import type { ByteSocket, ListeningSocket, Log, Meters, SocketOwner } from "../types.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { Exchange } from "./exchange.ts";
import type { Answer } from "./failures.ts";
import type { LiveListener } from "./generation.ts";
import { DownstreamConnection, type RequestTaker } from "./http1/downstream.ts";
import type { RequestOwner } from "./http1/request-owner.ts";
import { Peer } from "./peer.ts";

/** Open connections of the whole worker, against the node's limit. */
export interface ConnectionCount {
  open: number;
  max: number;
}

export interface ListenerParts {
  readonly deadlines: Deadlines;
  readonly meters: Meters;
  readonly log: Log;
  readonly connections: ConnectionCount;
}

/** Connections beyond the limit that are being told so. */
const REFUSING_MAX = 100;
/** How long such a one may take to close its side. */
const REFUSING_MS = 1_000;

/** Refused heads are logged at most this often for each listener. */
const REFUSAL_LOG_PERIOD_MS = 1_000;

export class Listener implements RequestTaker {
  draining: "yes" | "no" = "no";
  readonly open = new Set<DownstreamConnection>();
  readonly #refusing = new Set<Refused>();
  readonly #parts: ListenerParts;
  #live: LiveListener;
  #socket: ListeningSocket | null = null;
  #emptied: (() => void) | null = null;
  #loggedAtMs = -Infinity;
  #unlogged = 0;

  constructor(parts: ListenerParts, live: LiveListener) {
    this.#parts = parts;
    this.#live = live;
  }

  get deadlines(): Deadlines {
    return this.#parts.deadlines;
  }

  get limits(): MessageLimits {
    return this.#live.config.limits;
  }

  get live(): LiveListener {
    return this.#live;
  }

  get socket(): ListeningSocket | null {
    return this.#socket;
  }

  /** The address is bound. */
  bound(socket: ListeningSocket): void {
    this.#socket = socket;
  }

  /** From the next request on. */
  serve(live: LiveListener): void {
    this.#live = live;
  }

  accept(): SocketOwner {
    const { connections, meters } = this.#parts;
    if (connections.open >= connections.max || this.open.size >= this.limits.connections)
      return this.#refuse();
    const connection = new DownstreamConnection(this);
    connections.open++;
    meters.connections("downstream", 1);
    this.open.add(connection);
    return connection;
  }

  /** Being told takes a moment; beyond a bound there is none. */
  #refuse(): SocketOwner {
    return this.#refusing.size < REFUSING_MAX ? new Refused(this.#refusing, this.deadlines) : new Closed();
  }

  take(connection: DownstreamConnection): RequestOwner {
    let peer = connection.peer as Peer | null;
    if (peer === null || peer.listener !== this.#live) {
      peer = new Peer(this.#live, connection);
      connection.peer = peer;
    }
    return new Exchange(connection, peer);
  }

  refused(connection: DownstreamConnection, answer: Answer): void {
    const { config, unmatched } = this.#live;
    unmatched.meter.record("", "", answer.status, answer.reason, 0);
    const now = this.deadlines.now;
    if (now - this.#loggedAtMs < REFUSAL_LOG_PERIOD_MS) {
      this.#unlogged++;
      return;
    }
    this.#parts.log.info(`refused a request: ${answer.sentence}`, {
      listener: config.name,
      reason: answer.reason,
      status: answer.status,
      remoteAddress: connection.remoteAddress,
      unsaid: this.#unlogged,
    });
    this.#loggedAtMs = now;
    this.#unlogged = 0;
  }

  closed(connection: DownstreamConnection): void {
    if (!this.open.delete(connection)) return;
    this.#parts.connections.open--;
    this.#parts.meters.connections("downstream", -1);
    if (this.open.size === 0) this.#emptied?.();
  }

  /** Accepts no more, closes what is idle, and resolves when the last connection ended. */
  drain(): Promise<void> {
    this.draining = "yes";
    this.#socket?.stop();
    for (const connection of this.open) connection.drain();
    if (this.open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** Resets what is still open; returns how many that were. */
  abort(): number {
    const count = this.open.size;
    for (const connection of [...this.open]) connection.abort();
    return count;
  }
}

const TOO_MANY = Buffer.from(
  "HTTP/1.1 503 Service Unavailable\r\nx-clearway-reason: too-many-connections\r\n" +
    "content-type: text/plain; charset=utf-8\r\ncontent-length: 58\r\nconnection: close\r\n\r\n" +
    "too-many-connections: this node is at its limit, try later",
);

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
