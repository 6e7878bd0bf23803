/**
 * Sockets on Bun: `Bun.listen` and `Bun.connect`.
 *
 * Seen on Bun 1.4.5: `end()` closes both directions at once, so a half-close is `shutdown()`; `close` may be called
 * back from inside `end()` and `terminate()`; a failed connect both rejects and calls `connectError`; a FIN that comes
 * after `shutdown()` calls back `close` without `end`.
 *
 * TLS: `upgradeTLS` takes the bytes that were read already as `initialData`, and may call back before it returns. The
 * plain socket under it goes on calling `data` with what is encrypted, and its handlers are the listener's: `reload`
 * would replace them for all. `handshake` says `ok` also for a peer that is not believed: only `authorized` counts.
 * `error` is called for an alert after the handshake, too, and `close` follows. Why not a TLS listener, or `node:tls`:
 * docs/decisions/tls.md.
 */
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { SecureContext } from "node:tls";
import type { Socket, SocketHandler, TCPSocketListenOptions } from "bun";
import type {
  Address,
  ByteSocket,
  ListeningSocket,
  PeerJudge,
  SocketError,
  SocketOwner,
  Sockets,
  TlsContext,
  TlsFacts,
  TlsHandshake,
  TlsTarget,
} from "../../machine.ts";
import {
  alpnWire,
  hasEnded,
  isDisbelief,
  isTlsBreak,
  peerCertificate,
  type SecuredTaker,
  tlsBreak,
  tlsContext,
  tlsFailure,
  tlsOutlived,
  tlsUnproved,
  tlsUnwanted,
} from "./tls.ts";
import { listenAlone, listenInstead } from "./unix-listener.ts";

type Native = Socket<BunSocket>;

/** Below, making the object that frees the memory costs as much as the memory does. */
const RECLAIMED_BYTES_MIN = 16 * 1024;
/** Sends a keep-alive probe after this much silence, so that a peer that vanished is noticed. */
const KEEP_ALIVE_PROBE_MS = 60_000;

class BunSocket implements ByteSocket {
  tls: TlsFacts | null = null;
  #owner: SocketOwner;
  #socket: Native | null = null;
  #abandoned = false;
  #closed = false;
  #readEnded = false;
  /** Why the handshake failed, or what was encrypted cannot be read. */
  #failure: SocketError | null = null;

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

  reclaim(chunk: Buffer): void {
    const memory = chunk.buffer as ArrayBuffer;
    if (chunk.length >= RECLAIMED_BYTES_MIN && chunk.length === memory.byteLength) memory.transfer(0);
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
    if (this.connected(socket)) this.#owner.onOpen(this);
  }

  /** False when nobody wants it any more. */
  connected(socket: Native): boolean {
    this.#socket = socket;
    if (this.#abandoned) socket.terminate();
    else socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
    return !this.#abandoned;
  }

  /** The TLS side of what was a plain socket; the plain side is not heard of any more. */
  upgrade(handshake: TlsHandshake): void {
    const plain = this.#socket;
    if (plain === null) return;
    this.#owner = new Unsecured(handshake);
    const { context, first, clientCertificate, judge = null } = handshake;
    const [raw, secured] = plain.upgradeTLS<BunSocket>({
      isServer: true,
      initialData: first,
      allowHalfOpen: true,
      data: this,
      tls: {
        secureContext: nativeContext(context),
        requestCert: clientCertificate !== "ignored",
        // Else Bun closes before the caller can be told; `proved` refuses who is not believed.
        rejectUnauthorized: false,
        ALPNProtocols: alpnWire,
      },
      socket: {
        ...handlers,
        open() {},
        handshake: proving({ certificate: clientCertificate, judge }, handshake),
      },
    } as never);
    raw.data = deaf;
    if (this.#socket === plain) this.#socket = secured;
  }

  /** The handshake is over: the owner takes the socket when the other side is whom it has to be. */
  proved(native: Native, result: HandshakeResult, taker: SecuredTaker): void {
    this.#socket = native;
    const peer = result.certificate === "ignored" ? undefined : native.getPeerX509Certificate();
    const believed =
      result.certificate === "ignored"
        ? result.ok || isDisbelief(result.error)
        : result.ok && (peer === undefined ? result.certificate === "optional" : native.authorized);
    const shown = peer === undefined ? null : peerCertificate(peer);
    const refused = believed
      ? whyUnwanted(peer, result.judge?.(shown) ?? null)
      : whyDisbelieved(peer, result);
    if (refused !== null) {
      if (result.ok && taker.disbelieved !== undefined) {
        this.#owner = taker.disbelieved(refused, shown === null ? "none" : "shown");
        this.#owner.onOpen(this);
        return;
      }
      this.#failure = refused;
      // A caller is not left by `terminate`, which may overtake the alert that says why; a service, which is owed nothing
      // and may never end its side, is. Both call back `closed`, now or later.
      if (this.#owner instanceof Unsecured) native.end();
      else native.terminate();
      return;
    }
    if (this.#abandoned) {
      native.terminate();
      return;
    }
    this.tls = {
      version: native.getTLSVersion(),
      alpn: native.alpnProtocol || null,
      peer: shown,
    };
    this.#owner = taker.secured(this.tls);
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

  /** Its TLS cannot go on; `closed` follows. */
  broke(error: Error): void {
    this.#failure = tlsBreak(error);
  }

  closed(error: SocketError | null): void {
    this.#socket = null;
    if (this.#abandoned || this.#closed) return;
    this.#closed = true;
    const reason = this.#failure ?? error;
    if (reason === null && !this.#readEnded) this.#owner.onEnd();
    this.#owner.onClose(reason);
  }
}

/** What was asked of the other side. */
interface Demand {
  readonly certificate: TlsHandshake["clientCertificate"];
  readonly judge: PeerJudge | null;
}

interface HandshakeResult extends Demand {
  readonly ok: boolean;
  readonly error: Error | null;
}

function whyDisbelieved(peer: X509Certificate | undefined, result: HandshakeResult): SocketError {
  const missing = result.ok && peer === undefined && result.certificate === "required";
  return missing ? tlsUnproved : tlsFailure(result.error);
}

/** Of a peer that is believed. */
function whyUnwanted(peer: X509Certificate | undefined, problem: string | null): SocketError | null {
  if (peer !== undefined && hasEnded(peer)) return tlsOutlived;
  return problem === null ? null : tlsUnwanted(problem);
}

/** Who owns a socket while its handshake goes on. */
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
    this.#handshake.failed(error === null || error.code === "ECONNRESET" ? tlsFailure(null) : error);
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
  error(socket: Native, error: Error) {
    if (isTlsBreak(error)) {
      socket.data.broke(error);
      return;
    }
    // An exception in one of our own callbacks: a bug to be seen, never the end of the process.
    queueMicrotask(() => {
      throw error;
    });
  },
};

/** Of a plain socket under TLS: its TLS side tells everything. */
const deaf = {
  received() {},
  drained() {},
  ended() {},
  broke() {},
  closed() {},
} as unknown as BunSocket;

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
      const listen = sharing === "shared" ? listenInstead : listenAlone;
      return listen(address.unixPath, async (unix) => {
        const server = Bun.listen<BunSocket>({ unix, allowHalfOpen: true, socket });
        return () => server.stop(false);
      });
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

  connect(address: Address, owner: SocketOwner, tls?: TlsTarget): () => void {
    const data = new BunSocket(owner);
    const socket = {
      ...handlers,
      ...(tls === undefined ? {} : clientHandlers(owner, tls)),
      connectError(_socket: Native, error: Error) {
        data.closed(socketError(error));
      },
    };
    const shared = {
      allowHalfOpen: true,
      data,
      socket,
      ...(tls === undefined ? {} : { tls: clientTls(tls, address) }),
    };
    const connected =
      "unixPath" in address
        ? Bun.connect<BunSocket>({ ...shared, unix: address.unixPath })
        : Bun.connect<BunSocket>({ ...shared, hostname: address.host, port: address.port });
    connected.catch(() => {
      // Told by connectError.
    });
    return () => data.abandon();
  },

  tlsContext,

  acceptTls(accepted: ByteSocket, handshake: TlsHandshake): void {
    (accepted as BunSocket).upgrade(handshake);
  },
};

/** What Bun's own sockets take of a `node:tls` context. */
function nativeContext({ native }: TlsContext): unknown {
  return (native as SecureContext).context;
}

function clientTls({ context, serverName, verification }: TlsTarget, address: Address) {
  const byAddress = serverName === null && "host" in address && isIP(address.host) !== 0;
  return {
    secureContext: nativeContext(context),
    rejectUnauthorized: verification === "full",
    ALPNProtocols: alpnWire,
    // With an empty one no SNI is sent, and the certificate is checked against the address.
    ...(byAddress ? { serverName: "" } : serverName === null ? {} : { serverName }),
  } as never;
}

/** What Bun calls when a handshake is over. */
function proving(demand: Demand, taker: SecuredTaker): NonNullable<SocketHandler<BunSocket>["handshake"]> {
  return (native, ok, error) => native.data.proved(native, { ...demand, ok, error }, taker);
}

function clientHandlers(owner: SocketOwner, { verification, judge = null }: TlsTarget) {
  const certificate = verification === "full" ? "required" : "ignored";
  return {
    open(native: Native) {
      native.data.connected(native);
    },
    handshake: proving({ certificate, judge }, { secured: () => owner }),
  };
}
