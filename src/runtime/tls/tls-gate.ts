/** What a caller of an https listener has to pass: its first bytes name a host, then the handshake has its time. */

import type { ByteSocket, SocketError, SocketOwner, Sockets } from "../../machine.ts";
import type { MessageLimits } from "../../snapshot.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import { ANSWERS, type Answer } from "../failures.ts";
import { HelloReader } from "./client-hello.ts";
import type { MeshCallers } from "./mesh-callers.ts";
import type { Entrance, ServerCertificates } from "./server-certificates.ts";

/** A ClientHello with every record's head; real ones with post-quantum keys take some 2 KiB. */
export const helloBytesMax = 16 * 1024;
/** For a caller that spoke plain HTTP, to read the answer and close. */
const LINGER_MS = 1_000;

/** A listener, as a caller at its gate sees it. */
export interface GateKeeper {
  readonly sockets: Sockets;
  readonly deadlines: Deadlines;
  /** Those of the newest generation; null when TLS is not spoken any more. */
  readonly certificates: ServerCertificates | null;
  readonly limits: Pick<MessageLimits, "handshakeTimeoutMs">;
  /** Who comes in besides; null where it is enough to be believed. */
  readonly callers: MeshCallers | null;
  /**
   * The handshake is done, or plain HTTP may pass: who serves the connection? The gate is out of the way from now on, or
   * hands everything on.
   */
  passed(gate: TlsGate): SocketOwner;
  /** Its certificate is missing, or not believed for this reason: who tells it so? */
  disbelieved(gate: TlsGate, problem: string, certificate: "none" | "shown"): SocketOwner;
  /** There was none; why, in words, or null for a caller that sent nothing, as a load balancer's check does. */
  failed(gate: TlsGate, problem: string | null): void;
}

export class TlsGate implements SocketOwner {
  remoteAddress = "";
  /** Null before the caller's first message is there. */
  entrance: Entrance | null = null;
  readonly #keeper: GateKeeper;
  readonly #deadline: Deadline;
  #socket: ByteSocket | null = null;
  #state: "hello" | "handshake" | "answered" | "over" = "hello";
  /** Who serves a plain connection. */
  #owner: SocketOwner | null = null;
  #hello = new HelloReader();
  #timeoutMs = 0;

  constructor(keeper: GateKeeper) {
    this.#keeper = keeper;
    this.#deadline = keeper.deadlines.create(() => this.#expired());
  }

  /** Lets a handshake end, which has its time, and then a first request come. */
  drain(): void {}

  abort(): void {
    this.#reset("the node ended it");
  }

  onOpen(socket: ByteSocket): void {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress;
    this.#timeoutMs = this.#keeper.limits.handshakeTimeoutMs;
    this.#deadline.set(this.#keeper.deadlines.touch() + this.#timeoutMs);
  }

  onData(chunk: Buffer): void {
    if (this.#owner !== null) {
      this.#owner.onData(chunk);
      return;
    }
    if (this.#state !== "hello") return;
    this.#keeper.deadlines.touch();
    const hello = this.#hello.add(chunk);
    if (hello.kind === "tls") this.#handshake(hello.serverName);
    else if (hello.kind === "other") this.#plain();
    else if (this.#hello.bytes.length > helloBytesMax) {
      this.#reset(`the first message of its handshake is longer than ${helloBytesMax} bytes`);
    }
  }

  #handshake(serverName: string | null): void {
    const keeper = this.#keeper;
    const { sockets, certificates } = keeper;
    if (certificates === null) {
      this.#reset("TLS is not spoken here any more");
      return;
    }
    const certificate = certificates.find(serverName);
    this.entrance = { serverName, certificate };
    const first = this.#hello.bytes;
    this.#state = "handshake";
    // Not kept for as long as the handshake takes.
    this.#hello = new HelloReader();
    sockets.acceptTls(this.#socket!, {
      context: certificate.context,
      clientCertificate: certificate.clientCertificate,
      first,
      // By the rules of that moment.
      judge: (peer) => keeper.callers?.problem(peer) ?? null,
      secured: () => {
        keeper.deadlines.touch();
        this.#end();
        return keeper.passed(this);
      },
      disbelieved: ({ message }, shown) => {
        this.#keeper.deadlines.touch();
        this.#end();
        return this.#keeper.disbelieved(this, message, shown);
      },
      failed: (error) => this.#fail(error.message),
    });
  }

  /** What came is no TLS; most likely it is HTTP, and understands an answer. */
  #plain(): void {
    const { callers } = this.#keeper;
    if (callers?.plain === "served") this.#servePlain();
    else this.#refusePlain(callers?.plainAnswer ?? ANSWERS["tls-required"]);
  }

  #servePlain(): void {
    const socket = this.#socket!;
    const { bytes } = this.#hello;
    this.#hello = new HelloReader();
    this.#end();
    this.#owner = this.#keeper.passed(this);
    this.#owner.onOpen(socket);
    this.#owner.onData(bytes);
  }

  #refusePlain(answer: Answer): void {
    const bytes = plainAnswer(answer);
    this.#state = "answered";
    this.#socket?.write(bytes, 0, bytes.length);
    this.#socket?.end();
    this.#deadline.set(this.#keeper.deadlines.now + LINGER_MS);
  }

  onDrain(): void {
    this.#owner?.onDrain();
  }

  onEnd(): void {
    this.#owner?.onEnd();
    // Half a handshake leads nowhere.
    if (this.#state === "hello" || this.#state === "answered") this.#socket?.close();
  }

  onClose(error: SocketError | null): void {
    if (this.#owner !== null) this.#owner.onClose(error);
    else if (this.#state === "answered") this.#fail("it does not speak TLS");
    else if (this.#hello.bytes.length === 0) this.#fail(null);
    else this.#fail(`the connection ended in its first message${error === null ? "" : `: ${error.code}`}`);
  }

  #expired(): void {
    const limit = `${this.#timeoutMs / 1000} s`;
    const silent = this.#state === "hello" && this.#hello.bytes.length === 0;
    if (this.#state === "answered") this.#socket?.close();
    else this.#reset(silent ? `it sent nothing for ${limit}` : `its handshake took longer than ${limit}`);
  }

  /** The socket may call back at once: what is wrong is said before. */
  #reset(problem: string): void {
    const socket = this.#socket;
    this.#fail(problem);
    socket?.reset();
  }

  #fail(problem: string | null): void {
    if (this.#state === "over") return;
    this.#end();
    this.#keeper.failed(this, problem);
  }

  #end(): void {
    this.#state = "over";
    this.#deadline.remove();
    this.#socket = null;
  }
}

function plainAnswer({ reason, sentence }: Answer): Buffer {
  const text = `${reason}: ${sentence}\n`;
  return Buffer.from(
    `HTTP/1.1 400 Bad Request\r\nx-clearway-reason: ${reason}\r\n` +
      `content-type: text/plain; charset=utf-8\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
  );
}
