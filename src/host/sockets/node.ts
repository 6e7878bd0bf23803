/**
 * Sockets on Node and Deno: `node:net`, which has a buffer of its own in front of the system's. It is kept at
 * BUFFER_BYTES, and what does not fit stays with the caller, as everywhere.
 *
 * Seen on Node 22: a reset that arrives together with data is told as the peer's FIN (libuv reports POLLHUP behind a
 * short read as the end); a reset between `end()` and the FIN fails with EINVAL and leaves the connection open.
 *
 * TLS: a TLSSocket over the plain one, which stays for what only it can do, a reset. Until its handshake is over, the
 * owner is one that only waits for that.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type {
  Address,
  ByteSocket,
  ListeningSocket,
  SocketError,
  SocketOwner,
  Sockets,
  TlsFacts,
  TlsHandshake,
  TlsTarget,
} from "../../machine.ts";
import { acceptedSide, connectingSide, type Demand, nodeTlsContext, outcomeOf } from "./node-tls.ts";
import { isTlsBreak, type SecuredTaker, tlsBreak, tlsFailure } from "./tls.ts";
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
  tls: TlsFacts | null = null;
  #owner: SocketOwner;
  /** That of TLS, once there is one. */
  #socket: Socket;
  readonly #plain: Socket;
  /** Of the TLS side; null on a plain connection. */
  #handshake: "pending" | "over" | null = null;
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
    this.#plain = socket;
    this.#socket = socket;
    this.#owner = owner;
    this.#hear(socket);
  }

  /** A plain socket that carries TLS now is not heard of any more. */
  #hear(socket: Socket): void {
    const on = <Told extends unknown[]>(event: string, run: (...told: Told) => void) =>
      socket.on(event, (...told: Told) => {
        if (this.#socket === socket) run(...told);
      });
    on("data", (chunk: Buffer) => this.#received(chunk));
    on("drain", () => this.#drained());
    on("end", () => this.#ended());
    on("error", (error: Error) => this.#broke(error));
    on("close", () => this.#closed());
  }

  opened(): void {
    this.remoteAddress = this.#plain.remoteAddress ?? "";
    this.localPort = this.#plain.localPort ?? 0;
    this.#owner.onOpen(this);
  }

  /** The server's side of TLS. */
  accept(handshake: TlsHandshake): void {
    this.#owner = new Unsecured(handshake);
    const { clientCertificate: certificate, judge = null } = handshake;
    const secured = this.#carry(acceptedSide(this.#plain, handshake));
    secured.once("secure", () => this.#proved(secured, { certificate, judge }, handshake));
  }

  /** The client's side; `host`: whom it reached. */
  secure(target: TlsTarget, host: string | null): void {
    const secured = this.#carry(connectingSide(this.#plain, target, host));
    const certificate = target.verification === "full" ? "required" : "ignored";
    const demand = { certificate, judge: target.judge ?? null } as const;
    secured.once("secureConnect", () => this.#proved(secured, demand, { secured: () => this.#owner }));
  }

  #carry(secured: TLSSocket): TLSSocket {
    this.#handshake = "pending";
    this.#socket = secured;
    this.#hear(secured);
    // What breaks after the handshake is told so, and by no "error", where no server of the host's own listens.
    secured.on("_tlsError", (error: Error) => {
      if (this.#handshake !== "over" || secured.destroyed) return;
      this.#broke(error);
      secured.destroy();
    });
    return secured;
  }

  /** The handshake is over: the owner takes the socket when the other side is whom it has to be. */
  #proved(secured: TLSSocket, demand: Demand, taker: SecuredTaker): void {
    if (this.#told || this.#left) return;
    const outcome = outcomeOf(secured, demand);
    if ("refused" in outcome && taker.disbelieved !== undefined) {
      this.#handshake = "over";
      this.#owner = taker.disbelieved(outcome.refused, outcome.certificate);
      this.opened();
      return;
    }
    if ("refused" in outcome) {
      this.#error = outcome.refused;
      this.#socket.destroySoon();
      this.#closed();
      return;
    }
    this.#handshake = "over";
    this.tls = outcome;
    this.#owner = taker.secured(outcome);
    this.opened();
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
    if (this.#socket.writableLength === 0 || this.#handshake !== null) this.#socket.end();
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
    const socket = this.#plain;
    // A unix socket knows no RST.
    if (socket.remoteFamily === undefined) socket.destroy();
    else if (socket.writableEnded && !socket.writableFinished) socket.once("finish", () => this.reset());
    else socket.resetAndDestroy();
  }

  /** Gives up a connect that is under way. */
  abandon(): void {
    this.#told = true;
    this.#socket.destroy();
    this.#plain.destroy();
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
    const socket = this.#socket;
    // Nobody goes on with a handshake that the other side has left.
    if (this.#handshake === "pending") socket.destroy();
    else if (this.#handshake === "over" || !socket.writable || socket.writableLength > 0) this.#readEnd();
    else socket.write(nothing, (error) => error == null && this.#readEnd());
  }

  #broke(error: Error): void {
    if (this.#handshake === "pending") this.#error = tlsFailure(error);
    else this.#error = this.#handshake === "over" && isTlsBreak(error) ? tlsBreak(error) : socketError(error);
  }

  #readEnd(): void {
    if (this.#left) return;
    this.#readEnded = true;
    this.#owner.onEnd();
  }

  #closed(): void {
    if (this.#told) return;
    this.#told = true;
    const unsecured = this.#handshake === "pending" ? tlsFailure(null) : null;
    const error = this.#left ? null : (this.#error ?? unsecured);
    if (error === null && !this.#readEnded) this.#owner.onEnd();
    this.#owner.onClose(error);
  }
}

/** Who owns a socket while a caller's handshake goes on. */
class Unsecured implements SocketOwner {
  readonly #handshake: TlsHandshake;

  constructor(handshake: TlsHandshake) {
    this.#handshake = handshake;
  }

  onOpen(): void {}
  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  onClose(error: SocketError | null): void {
    this.#handshake.failed(error ?? tlsFailure(null));
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

  connect(address: Address, owner: SocketOwner, tls?: TlsTarget): () => void {
    const target = "unixPath" in address ? { path: address.unixPath } : address;
    const socket = connect({ ...socketOptions, ...target });
    const own = new NodeSocket(socket, owner);
    const host = "host" in address ? address.host : null;
    socket.once("connect", () => (tls === undefined ? own.opened() : own.secure(tls, host)));
    return () => own.abandon();
  },

  tlsContext: nodeTlsContext,

  acceptTls(accepted: ByteSocket, handshake: TlsHandshake): void {
    (accepted as NodeSocket).accept(handshake);
  },
};
