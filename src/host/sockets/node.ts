/**
 * Sockets on Node and Deno: `node:net`, which has a buffer of its own in front of the system's. It is kept at
 * BUFFER_BYTES, and what does not fit stays with the caller, as everywhere.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Address, ByteSocket, ListeningSocket, SocketError, SocketOwner, Sockets } from "../../types.ts";
import { tlsContext } from "./tls.ts";
import { listenAlone, listenInstead } from "./unix-listener.ts";

const BUFFER_BYTES = 64 * 1024;
/** Sends a keep-alive probe after this much silence, so that a peer that vanished is noticed. */
const KEEP_ALIVE_PROBE_MS = 60_000;
/** A closed socket whose last bytes make no progress is given up after this. */
const LINGER_MS = 30_000;

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
  #readEnded = false;
  /** Closed or reset from here: nothing is delivered any more. */
  #left = false;
  #abandoned = false;
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
    if (this.#left || !socket.writable) return -1;
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
    this.#socket.end();
  }

  /** What was taken was taken: it still leaves. */
  close(): void {
    if (this.#left) return;
    this.#left = true;
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy());
    this.#socket.destroySoon();
  }

  reset(): void {
    this.#left = true;
    // A unix socket knows no RST.
    if (this.#socket.remoteFamily === undefined) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  /** Gives up a connect that is under way. */
  abandon(): void {
    this.#abandoned = true;
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

  #ended(): void {
    if (this.#left) return;
    this.#readEnded = true;
    this.#owner.onEnd();
  }

  #closed(): void {
    if (this.#abandoned) return;
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
