/**
 * Sockets on Node and Deno: `node:net`, which has a buffer of its own in front of the system's. It is kept at
 * BUFFER_BYTES, and what does not fit stays with the caller, as everywhere.
 *
 * Seen on Node 22: a reset that arrives together with data is told as the peer's FIN (libuv reports POLLHUP behind a
 * short read as the end); a reset between `end()` and the FIN fails with EINVAL and leaves the connection open.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type {
  Address,
  ByteSocket,
  ListeningSocket,
  SocketError,
  SocketOwner,
  Sockets,
} from "../../machine.ts";
import { tlsContext } from "./tls.ts";
import { listenAlone, listenInstead } from "./unix-listener.ts";

const BUFFER_BYTES = 64 * 1024;
/** Sends a keep-alive probe after this much silence, so that a peer that vanished is noticed. */
const KEEP_ALIVE_PROBE_MS = 60_000;
/** A closed socket whose last bytes make no progress is given up after this. */
const LINGER_MS = 30_000;
const nothing = Buffer.alloc(0);

const socketOptions = {
  allowHalfOpen: true,
  highWaterMark: BUFFER_BYTES,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
};

class NodeSocket implements ByteSocket {
  remoteAddress = "";
  localPort = 0;
  readonly tls = null;
  readonly #owner: SocketOwner;
  readonly #socket: Socket;
  /** The owner holds bytes that a write did not take. */
  #short = false;
  #writeEnded = false;
  #readEnded = false;
  /** Closed or reset from here: nothing is delivered any more. */
  #left = false;
  /** The owner has heard the last, or wants to hear nothing. */
  #told = false;
  #error: SocketError | null = null;

  constructor(socket: Socket, owner: SocketOwner) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on("data", (chunk) => this.#received(chunk as Buffer));
    socket.on("drain", () => this.#drained());
    socket.on("end", () => this.#ended());
    socket.on("error", (error) => {
      this.#error = socketError(error);
    });
    socket.on("close", () => this.#closed());
  }

  opened(): void {
    this.remoteAddress = this.#socket.remoteAddress ?? "";
    this.localPort = this.#socket.localPort ?? 0;
    this.#owner.onOpen(this);
  }

  /** Copies: what the system does not take at once is read later, when the caller has long reused its buffer. */
  write(bytes: Uint8Array, start: number, end: number): number {
    const socket = this.#socket;
    if (this.#left || this.#writeEnded || !socket.writable) return -1;
    let at = start;
    while (at < end) {
      const room = BUFFER_BYTES - socket.writableLength;
      if (room <= 0) break;
      const next = Math.min(end, at + room);
      socket.write(Buffer.from(bytes.subarray(at, next)));
      at = next;
    }
    this.#short = at < end;
    return at - start;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    if (this.#socket.writableLength === 0) this.#socket.end();
    else this.#socket.write(nothing, () => this.#socket.end());
  }

  /** What was taken was taken: it still leaves, while the owner hears that it is over. */
  close(): void {
    if (this.#left) return;
    this.#left = true;
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy());
    this.#socket.destroySoon();
    process.nextTick(() => this.#closed());
  }

  reset(): void {
    this.#left = true;
    const socket = this.#socket;
    // A unix socket knows no RST.
    if (socket.remoteFamily === undefined) socket.destroy();
    else if (socket.writableEnded && !socket.writableFinished) socket.once("finish", () => this.reset());
    else socket.resetAndDestroy();
  }

  /** Gives up a connect that is under way. */
  abandon(): void {
    this.#told = true;
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    if (!this.#left) this.#owner.onData(chunk);
  }

  #drained(): void {
    if (!this.#short || this.#left) return;
    this.#short = false;
    this.#owner.onDrain();
  }

  /** Writes nothing, which fails when it was a reset. */
  #ended(): void {
    if (!this.#socket.writable || this.#socket.writableLength > 0) this.#readEnd();
    else this.#socket.write(nothing, (error) => error == null && this.#readEnd());
  }

  #readEnd(): void {
    if (this.#left) return;
    this.#readEnded = true;
    this.#owner.onEnd();
  }

  #closed(): void {
    if (this.#told) return;
    this.#told = true;
    const error = this.#left ? null : this.#error;
    if (error === null && !this.#readEnded) this.#owner.onEnd();
    this.#owner.onClose(error);
  }
}

function socketError(error: Error): SocketError {
  const { code } = error as Error & { code?: string };
  return { code: code ?? "EUNKNOWN", message: error.message };
}

function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** `node:net` behind the `Sockets` interface. */
export const nodeSockets: Sockets = {
  async listen(
    address: Address,
    sharing: "exclusive" | "shared",
    accept: () => SocketOwner,
  ): Promise<ListeningSocket> {
    const server = createServer(socketOptions, (socket) => new NodeSocket(socket, accept()).opened());
    const stop = () => void server.close();
    if ("unixPath" in address) {
      const listen = sharing === "shared" ? listenInstead : listenAlone;
      return listen(address.unixPath, async (path) => {
        server.listen({ path });
        await listening(server);
        return stop;
      });
    }
    server.listen({ host: address.host, port: address.port, reusePort: sharing === "shared" });
    await listening(server);
    const { port } = server.address() as AddressInfo;
    return { address: { host: address.host, port }, stop };
  },

  connect(address: Address, owner: SocketOwner): () => void {
    const target = "unixPath" in address ? { path: address.unixPath } : address;
    const socket = connect({ ...socketOptions, ...target });
    const own = new NodeSocket(socket, owner);
    socket.once("connect", () => own.opened());
    return () => own.abandon();
  },

  tlsContext,

  acceptTls(): never {
    throw new Error("TLS on this host comes later");
  },
};
