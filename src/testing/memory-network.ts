/** Sockets without a system below them: both ends of a connection are in this process, and nothing is timed. */
import type {
  Address,
  ByteSocket,
  ListeningSocket,
  SocketError,
  SocketOwner,
  Sockets,
  TlsFacts,
} from "../machine.ts";
import { addressText } from "../runtime/endpoint.ts";

/** What may wait at one end; a write takes what fits. */
const WAITING_BYTES_MAX = 256 * 1024;

/** What the accepting side sees of whoever connects. */
export interface ConnectingFacts {
  readonly remoteAddress: string;
  readonly tls: TlsFacts | null;
}

const PLAIN: ConnectingFacts = { remoteAddress: "127.0.0.1", tls: null };

class MemoryEnd implements ByteSocket {
  readonly remoteAddress: string;
  readonly localPort = 80;
  readonly tls: TlsFacts | null;
  #other: MemoryEnd = this;
  readonly #owner: SocketOwner;
  readonly #moved: () => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #paused = false;
  #open = true;
  /** The other end writes no more. */
  #finished: "no" | "said" | "told" = "no";
  #ended = false;
  #closing = false;
  #full = false;

  constructor(owner: SocketOwner, { remoteAddress, tls }: ConnectingFacts, moved: () => void) {
    this.#owner = owner;
    this.remoteAddress = remoteAddress;
    this.tls = tls;
    this.#moved = moved;
  }

  tie(other: MemoryEnd): void {
    this.#other = other;
  }

  open(): void {
    this.#owner.onOpen(this);
  }

  // ---- what its owner does ----

  write(bytes: Uint8Array, start: number, end: number): number {
    if (!this.#open || this.#ended) return -1;
    const taken = Math.min(end - start, WAITING_BYTES_MAX - this.#other.#waitingBytes);
    if (taken < end - start) this.#full = true;
    // Who writes may use its bytes again at once.
    if (taken > 0) this.#other.#take(Buffer.from(bytes.slice(start, start + taken)));
    return taken;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliverSoon();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#other.#finish();
  }

  close(): void {
    this.end();
    this.#other.#closing = true;
    this.#shut(null);
  }

  reset(): void {
    const other = this.#other;
    this.#shut(null);
    other.#waiting = [];
    queueMicrotask(() => other.#shut({ code: "ECONNRESET", message: "the other side reset the connection" }));
  }

  // ---- what the other end does ----

  #take(bytes: Buffer): void {
    if (!this.#open) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#deliverSoon();
  }

  #finish(): void {
    this.#finished = "said";
    this.#deliverSoon();
  }

  #deliverSoon(): void {
    queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    while (this.#open && !this.#paused) {
      const bytes = this.#waiting.shift();
      if (bytes === undefined) break;
      this.#waitingBytes -= bytes.length;
      this.#moved();
      this.#owner.onData(bytes);
    }
    if (this.#other.#full && this.#waitingBytes < WAITING_BYTES_MAX) this.#other.#drained();
    if (!this.#open || this.#paused || this.#waiting.length > 0 || this.#finished === "no") return;
    if (this.#finished === "said") {
      this.#finished = "told";
      this.#moved();
      this.#owner.onEnd();
    }
    if (this.#closing || this.#ended) this.#shut(null);
  }

  #drained(): void {
    this.#full = false;
    if (this.#open) this.#owner.onDrain();
  }

  #shut(error: SocketError | null): void {
    if (!this.#open) return;
    this.#open = false;
    this.#moved();
    this.#owner.onClose(error);
  }
}

export class MemoryNetwork implements Sockets {
  readonly #listening = new Map<string, () => SocketOwner>();
  readonly #silent = new Set<string>();
  #events = 0;

  /** Grows with whatever happens on a connection. */
  get events(): number {
    return this.#events;
  }

  /** Who connects to this address waits for ever. */
  silence(address: Address): void {
    this.#silent.add(addressText(address));
  }

  listen(
    address: Address,
    _sharing: "exclusive" | "shared",
    accept: () => SocketOwner,
  ): Promise<ListeningSocket> {
    const key = addressText(address);
    if (this.#listening.has(key)) {
      return Promise.reject(Object.assign(new Error("the address is in use"), { code: "EADDRINUSE" }));
    }
    this.#listening.set(key, accept);
    return Promise.resolve({ address, stop: () => void this.#listening.delete(key) });
  }

  connect(address: Address, owner: SocketOwner): () => void {
    return this.dial(address, owner, PLAIN);
  }

  /** As `connect`, by somebody in particular. */
  dial(address: Address, owner: SocketOwner, facts: ConnectingFacts): () => void {
    let wanted = true;
    const key = addressText(address);
    queueMicrotask(() => {
      if (wanted && !this.#silent.has(key)) this.#tie(key, owner, facts);
    });
    return () => {
      wanted = false;
    };
  }

  #tie(address: string, owner: SocketOwner, facts: ConnectingFacts): void {
    const moved = () => {
      this.#events += 1;
    };
    moved();
    const accept = this.#listening.get(address);
    if (accept === undefined) {
      owner.onClose({ code: "ECONNREFUSED", message: "connection refused" });
      return;
    }
    const near = new MemoryEnd(owner, PLAIN, moved);
    const far = new MemoryEnd(accept(), facts, moved);
    near.tie(far);
    far.tie(near);
    far.open();
    near.open();
  }

  tlsContext(): never {
    throw new Error("cannot use certificates: there is no TLS in a test's memory");
  }

  acceptTls(): never {
    throw new Error("cannot use certificates: there is no TLS in a test's memory");
  }
}
