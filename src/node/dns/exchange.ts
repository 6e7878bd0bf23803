/** One question to one server: by UDP, and by TCP when the answer did not fit (RFC 1035 section 4.2, RFC 7766). */
import type {
  ByteSocket,
  Clock,
  DatagramSocket,
  Datagrams,
  Random,
  SocketError,
  Sockets,
} from "../../machine.ts";
import { decodeReply, encodeQuestion, type Question, type Reply, typeNumbers } from "./message.ts";

export interface ExchangeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly sockets: Sockets;
  readonly datagrams: Datagrams;
}

export interface NameServer {
  readonly host: string;
  readonly port: number;
}

/** A reply, or why there is none. */
export type Exchanged = { readonly reply: Reply } | { readonly why: string };

const ID_DIGITS = 4;
const LENGTH_BYTES = 2;

/** Each of UDP and TCP may take `timeoutMs`. */
export async function exchange(
  parts: ExchangeParts,
  question: Question,
  to: { readonly server: NameServer; readonly timeoutMs: number },
): Promise<Exchanged> {
  // Unguessable, as is the port that the system draws: who cannot see the question cannot forge an answer.
  const id = Number.parseInt(parts.random.id().slice(0, ID_DIGITS), 16);
  const query = encodeQuestion(id, question);
  if (query === null) return { why: "cannot be asked for the name: a label is empty or the name too long" };
  const fits = (reply: Reply | null) =>
    reply?.id === id && reply.name === question.name && reply.type === typeNumbers[question.type];
  const told = await new DatagramExchange(parts, { ...to, query, fits }).outcome;
  if (!("reply" in told) || told.reply.truncated === "no") return told;
  return new StreamExchange(parts, { ...to, query, fits }).outcome;
}

interface Asking {
  readonly server: NameServer;
  readonly timeoutMs: number;
  readonly query: Buffer;
  /** Whether this is the answer to the question. */
  fits(reply: Reply | null): boolean;
}

abstract class Pending {
  readonly outcome: Promise<Exchanged>;
  protected readonly asking: Asking;
  readonly #resolve: (exchanged: Exchanged) => void;
  readonly #cancelTimer: () => void;
  #settled = false;

  constructor(clock: Clock, asking: Asking) {
    const { promise, resolve } = Promise.withResolvers<Exchanged>();
    this.outcome = promise;
    this.asking = asking;
    this.#resolve = resolve;
    this.#cancelTimer = clock.after(asking.timeoutMs, () => this.settle({ why: this.silence() }));
  }

  /** Closing may call back that it is closed. */
  protected settle(exchanged: Exchanged): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelTimer();
    this.#resolve(exchanged);
    this.close();
  }

  protected silence(): string {
    return `did not answer in ${this.asking.timeoutMs} ms`;
  }

  protected abstract close(): void;
}

class DatagramExchange extends Pending {
  #socket: DatagramSocket | null = null;
  #closed = false;
  #strange = 0;

  constructor({ clock, datagrams }: ExchangeParts, asking: Asking) {
    super(clock, asking);
    const owner = {
      onDatagram: (bytes: Buffer) => this.#received(decodeReply(bytes)),
      onError: (error: SocketError) => this.settle({ why: reasonOf(error) }),
    };
    datagrams.connect(asking.server, owner).then(
      (socket) => this.#opened(socket),
      (error: SocketError) => this.settle({ why: reasonOf(error) }),
    );
  }

  #opened(socket: DatagramSocket): void {
    this.#socket = socket;
    if (this.#closed) socket.close();
    else socket.send(this.asking.query);
  }

  /** What does not fit may be a forgery: the right one may still come. */
  #received(reply: Reply | null): void {
    if (reply !== null && this.asking.fits(reply)) this.settle({ reply });
    else this.#strange++;
  }

  protected override silence(): string {
    const but =
      this.#strange === 0 ? "" : `, but sent ${this.#strange} that were malformed or to another question`;
    return `${super.silence()}${but}`;
  }

  protected close(): void {
    this.#closed = true;
    this.#socket?.close();
  }
}

class StreamExchange extends Pending {
  readonly #giveUp: () => void;
  #socket: ByteSocket | null = null;
  #received = Buffer.alloc(0);

  constructor({ clock, sockets }: ExchangeParts, asking: Asking) {
    super(clock, asking);
    this.#giveUp = sockets.connect(asking.server, {
      onOpen: (socket) => this.#opened(socket),
      onData: (chunk) => this.#took(chunk),
      onDrain: () => {},
      onEnd: () => this.settle({ why: "closed the connection over TCP" }),
      onClose: (error) =>
        this.settle({
          why: error === null ? "closed the connection over TCP" : `${reasonOf(error)} over TCP`,
        }),
    });
  }

  #opened(socket: ByteSocket): void {
    this.#socket = socket;
    const { query } = this.asking;
    const framed = Buffer.alloc(LENGTH_BYTES + query.length);
    framed.writeUInt16BE(query.length, 0);
    query.copy(framed, LENGTH_BYTES);
    // A new socket takes a few hundred bytes at once; one that does not is as good as closed.
    if (socket.write(framed, 0, framed.length) !== framed.length)
      this.settle({ why: "took no question over TCP" });
  }

  #took(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < LENGTH_BYTES) return;
    const end = LENGTH_BYTES + this.#received.readUInt16BE(0);
    if (this.#received.length < end) return;
    const reply = decodeReply(this.#received.subarray(LENGTH_BYTES, end));
    if (reply !== null && this.asking.fits(reply) && reply.truncated === "no") this.settle({ reply });
    else this.settle({ why: "sent a malformed answer, or one to another question, over TCP" });
  }

  protected override silence(): string {
    return `${super.silence()} over TCP`;
  }

  protected close(): void {
    if (this.#socket === null) this.#giveUp();
    else this.#socket.close();
  }
}

function reasonOf({ code, message }: SocketError): string {
  if (code === "ECONNREFUSED") return "refused the connection: nobody listens there";
  return `cannot be reached: ${code === "EUNKNOWN" ? message : code}`;
}
