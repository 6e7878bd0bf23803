/**
 * Sockets on Bun: `Bun.listen` and `Bun.connect`.
 *
 * Seen on Bun 1.4.5: `end()` closes both directions at once, so a half-close is `shutdown()`; `close` may be called
 * back from inside `end()` and `terminate()`; a failed connect both rejects and calls `connectError`; a FIN that comes
 * after `shutdown()` calls back `close` without `end`.
 */
import type { Socket, TCPSocketListenOptions } from "bun";
import type { Address, ByteSocket, ListeningSocket, SocketError, SocketOwner, Sockets } from "../../types.ts";

type Native = Socket<BunSocket>;

/** Sends a keep-alive probe after this much silence, so that a peer that vanished is noticed. */
const KEEP_ALIVE_PROBE_MS = 60_000;

class BunSocket implements ByteSocket {
  readonly #owner: SocketOwner;
  #socket: Native | null = null;
  #abandoned = false;
  #readEnded = false;

  constructor(owner: SocketOwner) {
    this.#owner = owner;
  }

  get remoteAddress(): string {
    return this.#socket?.remoteAddress ?? "";
  }

  get localPort(): number {
    return this.#socket?.localPort ?? 0;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    return this.#socket === null ? -1 : this.#socket.write(bytes, start, end - start);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  end(): void {
    this.#socket?.shutdown();
  }

  close(): void {
    this.#socket?.end();
  }

  reset(): void {
    this.#socket?.terminate();
  }

  /** Gives up a connect that is under way. */
  abandon(): void {
    this.#abandoned = true;
    this.#socket?.terminate();
  }

  opened(socket: Native): void {
    this.#socket = socket;
    if (this.#abandoned) {
      socket.terminate();
      return;
    }
    socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    this.#owner.onOpen(this);
  }

  received(chunk: Buffer): void {
    this.#owner.onData(chunk);
  }

  drained(): void {
    this.#owner.onDrain();
  }

  ended(): void {
    this.#readEnded = true;
    this.#owner.onEnd();
  }

  closed(error: SocketError | null): void {
    this.#socket = null;
    if (this.#abandoned) return;
    if (error === null && !this.#readEnded) this.#owner.onEnd();
    this.#owner.onClose(error);
  }
}

const handlers = {
  open(socket: Native) {
    socket.data.opened(socket);
  },
  data(socket: Native, chunk: Buffer) {
    socket.data.received(chunk);
  },
  drain(socket: Native) {
    socket.data.drained();
  },
  end(socket: Native) {
    socket.data.ended();
  },
  close(socket: Native, error?: Error) {
    socket.data.closed(error === undefined || error === null ? null : socketError(error));
  },
  error(_socket: Native, error: Error) {
    // An exception in one of our own callbacks: a bug to be seen, never the end of the process.
    queueMicrotask(() => {
      throw error;
    });
  },
};

function socketError(error: Error): SocketError {
  const { code } = error as Error & { code?: string };
  return { code: code ?? "EUNKNOWN", message: error.message };
}

/** `Bun.listen` and `Bun.connect` behind the `Sockets` interface. */
export const bunSockets: Sockets = {
  async listen(
    address: Address,
    sharing: "exclusive" | "shared",
    accept: () => SocketOwner,
  ): Promise<ListeningSocket> {
    const socket = {
      ...handlers,
      open(native: Native) {
        const accepted = new BunSocket(accept());
        native.data = accepted;
        accepted.opened(native);
      },
    };
    if ("unixPath" in address) {
      const server = Bun.listen<BunSocket>({ unix: address.unixPath, allowHalfOpen: true, socket });
      return { address, stop: () => server.stop(false) };
    }
    const server = Bun.listen<BunSocket>({
      hostname: address.host,
      port: address.port,
      reusePort: sharing === "shared",
      allowHalfOpen: true,
      socket,
    } as TCPSocketListenOptions<BunSocket>);
    return { address: { host: address.host, port: server.port }, stop: () => server.stop(false) };
  },

  connect(address: Address, owner: SocketOwner): () => void {
    const data = new BunSocket(owner);
    const socket = {
      ...handlers,
      connectError(_socket: Native, error: Error) {
        data.closed(socketError(error));
      },
    };
    const shared = { allowHalfOpen: true, data, socket };
    const connected =
      "unixPath" in address
        ? Bun.connect<BunSocket>({ ...shared, unix: address.unixPath })
        : Bun.connect<BunSocket>({ ...shared, hostname: address.host, port: address.port });
    connected.catch(() => {
      // Told by connectError.
    });
    return () => data.abandon();
  },
};
