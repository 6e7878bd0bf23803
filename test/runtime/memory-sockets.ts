/** Sockets without a system below them: every piece arrives as the test cut it, at once, and nothing is timed. */
import type { Address, ByteSocket, ListeningSocket, SocketOwner, Sockets } from "../../src/machine.ts";
import type { PeerEnd } from "./raw-socket.ts";

/** A connection: the program holds it as a socket, the test holds the other end. */
export class MemoryConnection implements ByteSocket {
  readonly remoteAddress = "127.0.0.1";
  readonly localPort = 1;
  readonly tls = null;
  /** What the program wrote, as latin1 text, and how it ended its side. */
  received = "";
  peer: PeerEnd = "open";
  /** The test's reaction to what was written. */
  arrived: () => void = () => {};
  readonly #owner: SocketOwner;
  readonly #takenBytesMax: number;
  readonly #held: Buffer[] = [];
  #finished = false;
  #paused = false;
  #open = true;

  /** A write takes at most `takenBytesMax`; the rest is asked for at once. */
  constructor(owner: SocketOwner, takenBytesMax: number) {
    this.#owner = owner;
    this.#takenBytesMax = takenBytesMax;
  }

  get open(): boolean {
    return this.#open;
  }

  // ---- the program's end ----

  write(bytes: Uint8Array, start: number, end: number): number {
    if (!this.#open) return -1;
    const taken = Math.min(end - start, this.#takenBytesMax);
    this.received += Buffer.from(bytes.buffer, bytes.byteOffset + start, taken).toString("latin1");
    if (taken < end - start) queueMicrotask(() => this.#open && this.#owner.onDrain());
    queueMicrotask(this.arrived);
    return taken;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    queueMicrotask(() => this.#deliver());
  }

  end(): void {
    if (this.peer === "open") this.peer = "fin";
  }

  close(): void {
    this.end();
    this.#closed();
  }

  reset(): void {
    if (this.peer === "open") this.peer = "reset";
    this.#closed();
  }

  #closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#owner.onClose(null);
  }

  /** Whoever reads it after that reads nothing that came. */
  reclaim(chunk: Buffer): void {
    chunk.fill(0);
  }

  // ---- the test's end ----

  send(bytes: Buffer): void {
    // A chunk belongs to its receiver.
    this.#held.push(Buffer.from(bytes));
    this.#deliver();
  }

  finish(): void {
    this.#finished = true;
    this.#deliver();
  }

  /** The peer is gone. */
  drop(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#owner.onClose({ code: "ECONNRESET", message: "reset by the test" });
  }

  #deliver(): void {
    while (this.#open && !this.#paused) {
      const chunk = this.#held.shift();
      if (chunk === undefined) break;
      this.#owner.onData(chunk);
    }
    if (!this.#finished || this.#held.length > 0 || !this.#open || this.#paused) return;
    this.#finished = false;
    this.#owner.onEnd();
  }
}

export class MemorySockets implements Sockets {
  /** The next connections take so much of a write. */
  takenBytesMax = Number.POSITIVE_INFINITY;
  /** A connection that the program made. */
  connected: (connection: MemoryConnection) => void = () => {};
  #accept: (() => SocketOwner) | null = null;

  listen(
    address: Address,
    _sharing: "exclusive" | "shared",
    accept: () => SocketOwner,
  ): Promise<ListeningSocket> {
    this.#accept = accept;
    return Promise.resolve({ address, stop: () => {} });
  }

  connect(_address: Address, owner: SocketOwner): () => void {
    const connection = new MemoryConnection(owner, this.takenBytesMax);
    let wanted = true;
    queueMicrotask(() => {
      if (!wanted) return;
      this.connected(connection);
      owner.onOpen(connection);
    });
    return () => {
      wanted = false;
    };
  }

  tlsContext(): never {
    throw new Error("no TLS in memory");
  }

  acceptTls(): never {
    throw new Error("no TLS in memory");
  }

  /** A caller connects. */
  open(): MemoryConnection {
    const owner = this.#accept!();
    const connection = new MemoryConnection(owner, this.takenBytesMax);
    owner.onOpen(connection);
    return connection;
  }
}
