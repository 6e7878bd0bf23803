/**
 * One connection to an endpoint, speaking HTTP/1.1: writes one request at a time, reads its answer, and goes back to
 * its pool when both ended as they should. Nothing is believed of it after that: surplus bytes, a cut-off body, an
 * answer before the request's end or `Connection: close` retire it (RFC 9112 section 9.3).
 */
import type { MessageLimits } from "../../snapshot.ts";
import type {
  Address,
  BodySink,
  BodySource,
  ByteSocket,
  Failure,
  FieldTable,
  SocketError,
  SocketOwner,
  Sockets,
} from "../../types.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import { MessageFailure } from "../failures.ts";
import { flushWires, Wire } from "../wire.ts";
import { ChunkedReader } from "./chunked.ts";
import { writeChunk, writeLastChunk } from "./chunk-writer.ts";
import { Head } from "./head.ts";
import { ResponseFacts } from "./response-rules.ts";

/** Who made the call that a connection carries. */
export interface CallOwner {
  readonly method: string;
  /** A 1xx other than 101; the head is the connection's and gone afterwards. */
  onInformational(head: Head): void;
  /** The answer's head; its body waits for `pipe`. The head is the connection's until the body's end. */
  onHead(head: Head, facts: ResponseFacts): void;
  /** 101: from now on bytes. What came after the head is delivered by `pipe` of the tunnel. */
  onUpgraded(head: Head): void;
  /** No head will come. */
  onFailure(failure: Failure): void;
}

/** Who owns the connections of an endpoint. */
export interface ConnectionKeeper {
  readonly limits: MessageLimits;
  readonly idleTimeoutMs: number;
  readonly deadlines: Deadlines;
  connected(connection: UpstreamConnection): void;
  connectFailed(connection: UpstreamConnection, error: SocketError): void;
  /** Ready for another request. */
  idle(connection: UpstreamConnection): void;
  closed(connection: UpstreamConnection): void;
}

type State = "connecting" | "idle" | "awaiting-head" | "body" | "tunnel" | "closed";

const CLOSED = "closed the connection";
/** More interim answers than this to one request are a storm. */
const INFORMATIONAL_MAX = 100;
/** A body that nobody wants is read to its end when this much is left, so that the connection lives. */
const DISCARDED_BYTES_MAX = 64 * 1024;

export class UpstreamConnection implements SocketOwner, BodySource, BodySink {
  /** How many answers this connection gave: a failure of a fresh one is the endpoint's, of an old one maybe the clock's. */
  answers = 0;
  readonly #keeper: ConnectionKeeper;
  readonly #deadline: Deadline;
  readonly #head = new Head();
  readonly #facts = new ResponseFacts();
  #socket: ByteSocket | null = null;
  #giveUp: (() => void) | null = null;
  #wire: Wire | null = null;
  #state: State = "connecting";
  #owner: CallOwner | null = null;
  #input: Buffer | null = null;
  #inputAt = 0;
  #scanning = false;
  #sink: BodySink | null = null;
  #left = 0;
  #chunks: ChunkedReader | null = null;
  #informational = 0;
  #paused = false;
  #readEnded = false;
  #request: "none" | "sending" | "sent" = "none";
  #requestChunked = false;
  #requestSource: BodySource | null = null;
  #requestPaused = false;

  constructor(keeper: ConnectionKeeper) {
    this.#keeper = keeper;
    this.#deadline = keeper.deadlines.create(() => this.#expired());
  }

  get lengthBytes(): number | null {
    if (this.#facts.framing === "none") return 0;
    return this.#facts.framing === "length" ? this.#facts.bodyBytes : null;
  }

  get state(): State {
    return this.#state;
  }

  /** Where the request's head is written; only for the owner of the call, before its body. */
  get wire(): Wire {
    return this.#wire!;
  }

  /** Dials; the keeper hears of the outcome, which includes that `timeoutMs` passed. */
  open(sockets: Sockets, address: Address, timeoutMs: number): void {
    this.#deadline.set(this.#keeper.deadlines.now + timeoutMs);
    this.#giveUp = sockets.connect(address, this);
  }

  // ---- the request ----

  /** Begins a call. The owner then writes the head to `wire`, then pipes the body into this connection, or calls `end`. */
  begin(owner: CallOwner, body: "none" | "length" | "chunked"): void {
    this.#state = "awaiting-head";
    this.#owner = owner;
    this.#informational = 0;
    this.#deadline.clear();
    this.#request = body === "none" ? "sent" : "sending";
    this.#requestChunked = body === "chunked";
  }

  /** Who to hold back when the endpoint takes bytes too slowly. */
  feed(source: BodySource): void {
    this.#requestSource = source;
  }

  get requestSent(): boolean {
    return this.#request === "sent";
  }

  data(bytes: Buffer, start: number, end: number): void {
    const wire = this.#wire;
    if (wire === null || start === end) return;
    if (this.#requestChunked) writeChunk(wire, bytes, start, end);
    else wire.write(bytes, start, end);
    if (wire.waitingBytes > this.#keeper.limits.bufferHighBytes && this.#requestSource !== null) {
      this.#requestPaused = true;
      this.#requestSource.pause();
    }
  }

  end(trailers: FieldTable | null): void {
    if (this.#state === "tunnel") {
      this.#wire?.end();
      return;
    }
    if (this.#wire !== null && this.#requestChunked) writeLastChunk(this.#wire, trailers);
    this.#request = "sent";
    this.#requestSource = null;
  }

  fail(_failure: Failure): void {
    this.abort();
  }

  // ---- the answer ----

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#advance();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  /** The rest of the answer is not wanted. */
  cancel(): void {
    if (this.#state !== "body") return;
    const short = this.#facts.framing === "length" && this.#left <= DISCARDED_BYTES_MAX;
    if (short && this.#request === "sent") this.pipe(NOWHERE);
    else this.abort();
    this.resume();
  }

  /** Ends the call and the connection at once, so that the service stops working for nobody. */
  abort(): void {
    this.#owner = null;
    this.#sink = null;
    this.#close("reset");
  }

  /** It was made and nobody needs it any more: it waits in the pool. */
  ready(): void {
    this.#state = "idle";
    this.#deadline.set(this.#keeper.deadlines.now + this.#keeper.idleTimeoutMs);
    this.#keeper.idle(this);
  }

  /** Closes an idle connection. */
  retire(): void {
    this.#close("orderly");
  }

  // ---- the socket ----

  onOpen(socket: ByteSocket): void {
    this.#socket = socket;
    this.#wire = new Wire(socket, this.#keeper.limits.bufferLowBytes, () => this.#drained());
    this.#keeper.deadlines.touch();
    this.#keeper.connected(this);
    flushWires();
  }

  onData(chunk: Buffer): void {
    this.#keeper.deadlines.touch();
    if (this.#input === null) {
      this.#input = chunk;
      this.#inputAt = 0;
    } else this.#append(chunk);
    this.#advance();
    flushWires();
  }

  onDrain(): void {
    this.#wire?.onDrain();
    flushWires();
  }

  onEnd(): void {
    if (this.#state === "tunnel") {
      this.#readEnded = true;
      this.#sink?.end(null);
    } else this.#lost(CLOSED);
    flushWires();
  }

  onClose(error: SocketError | null): void {
    if (this.#state === "connecting") this.#notConnected(error ?? { code: "ECLOSED", message: "closed while connecting" });
    else this.#lost(error === null ? CLOSED : `lost the connection: ${error.code}`);
    this.#socket = null;
    flushWires();
  }

  #notConnected(error: SocketError): void {
    this.#state = "closed";
    this.#deadline.remove();
    this.#keeper.connectFailed(this, error);
  }

  #drained(): void {
    if (!this.#requestPaused) return;
    this.#requestPaused = false;
    this.#requestSource?.resume();
  }

  /** What is not read yet stays in one piece; while a head is incomplete its size is bounded by headerBytes. */
  #append(chunk: Buffer): void {
    const joined = Buffer.concat([this.#input!.subarray(this.#inputAt), chunk]);
    if (this.#scanning) this.#head.moved(joined, -this.#inputAt);
    this.#input = joined;
    this.#inputAt = 0;
  }

  #advance(): void {
    for (;;) {
      const { state } = this;
      if (state === "body" && this.#sink !== null && this.#isWhole()) this.#complete();
      else if (this.#input === null) return;
      else if (state === "awaiting-head") {
        if (!this.#readHead(this.#input)) return;
      } else if (state === "body" || state === "tunnel") {
        if (this.#sink === null) {
          if (this.#input.length - this.#inputAt > this.#keeper.limits.bufferHighBytes) this.pause();
          return;
        }
        this.#deliver(this.#input, this.#sink);
      } else {
        // Bytes that nobody asked for: what they would be taken for cannot be known.
        this.#input = null;
        this.#close("reset");
      }
    }
  }

  /** False when the head needs more bytes, or the connection is gone. */
  #readHead(input: Buffer): boolean {
    const head = this.#head;
    if (!this.#scanning) head.begin(input, this.#inputAt);
    this.#scanning = true;
    const scan = head.scanResponse(input.length, this.#keeper.limits);
    if (scan === "more") return false;
    this.#scanning = false;
    if (scan === "bad") return this.#malformed(head.problem!);
    const owner = this.#owner!;
    const problem = this.#facts.read(head, owner.method);
    if (problem !== null) return this.#malformed(problem);
    this.#consume(head.end);
    if (head.status < 200) return this.#interim(owner, head);
    this.answers++;
    this.#state = "body";
    this.#left = this.#facts.bodyBytes;
    this.#chunks = this.#facts.framing === "chunked" ? new ChunkedReader(this.#keeper.limits) : null;
    this.#touchSilence();
    owner.onHead(head, this.#facts);
    return true;
  }

  #interim(owner: CallOwner, head: Head): boolean {
    if (++this.#informational > INFORMATIONAL_MAX) return this.#malformed("too many interim answers");
    if (head.status === 101) {
      this.#state = "tunnel";
      this.#requestChunked = false;
      this.#touchSilence();
      owner.onUpgraded(head);
    } else owner.onInformational(head);
    head.release();
    return true;
  }

  #consume(at: number): void {
    if (this.#input !== null && at >= this.#input.length) this.#input = null;
    else this.#inputAt = at;
  }

  #deliver(input: Buffer, sink: BodySink): void {
    const start = this.#inputAt;
    let stop = input.length;
    this.#touchSilence();
    if (this.#state === "body" && this.#facts.framing === "length") stop = Math.min(stop, start + this.#left);
    if (this.#chunks !== null) {
      stop = this.#chunks.read(input, start, stop, (bytes, from, to) => sink.data(bytes, from, to));
      if (this.#chunks.problem !== null) {
        this.#lost(`answered with a ${this.#chunks.problem}`);
        return;
      }
      this.#consume(stop);
    } else {
      // The rest is settled first: the sink may end, cancel or abort from inside.
      this.#left -= stop - start;
      this.#consume(stop);
      if (stop > start) sink.data(input, start, stop);
    }
  }

  #isWhole(): boolean {
    if (this.#facts.framing === "none") return true;
    if (this.#facts.framing === "length") return this.#left === 0;
    return this.#chunks?.done ?? false;
  }

  /** The answer is whole. The connection goes back first, so that what follows from the answer may use it. */
  #complete(): void {
    const sink = this.#sink!;
    const trailers = this.#chunks?.trailers ?? null;
    const reusable = this.#facts.keepAlive === "yes" && this.#request === "sent" && this.#input === null;
    this.#owner = null;
    this.#sink = null;
    this.#chunks = null;
    this.#requestSource = null;
    this.#head.release();
    this.resume();
    if (reusable) this.ready();
    else this.#close("orderly");
    sink.end(trailers);
  }

  #touchSilence(): void {
    this.#deadline.set(this.#keeper.deadlines.now + this.#keeper.limits.silenceTimeoutMs);
  }

  #expired(): void {
    if (this.#state === "idle") this.#close("orderly");
    else if (this.#state === "connecting") {
      this.#giveUp?.();
      this.#notConnected({ code: "ETIMEDOUT", message: "no connection in time" });
    } else if (this.#state === "body" || this.#state === "tunnel") this.#lost("was silent for too long");
    flushWires();
  }

  #malformed(problem: string): false {
    const owner = this.#owner;
    this.#owner = null;
    this.#close("reset");
    owner?.onFailure(new MessageFailure("upstream-malformed", `the answer is malformed: ${problem}`, { side: "upstream" }));
    return false;
  }

  /** The connection ended by itself, or must: whoever waits for something from it is told. */
  #lost(how: string): void {
    const { framing } = this.#facts;
    const state = this.#state;
    const owner = this.#owner;
    const sink = this.#sink;
    const input = this.#input;
    if (state === "closed") return;
    this.#owner = null;
    this.#sink = null;
    this.#close("reset");
    if (state === "awaiting-head") {
      // An old connection that closes before a byte of an answer was most likely closed before the request came.
      const untouched = this.answers > 0 && this.#informational === 0 && input === null;
      const stale = untouched ? { retryable: "yes" as const } : {};
      owner?.onFailure(new MessageFailure("upstream-reset", how, { side: "upstream", ...stale }));
    } else if (state === "body" && framing === "until-close" && how === CLOSED) sink?.end(null);
    else if (state !== "tunnel" || !this.#readEnded) sink?.fail(new MessageFailure("truncated", how, { side: "upstream" }));
  }

  #close(how: "orderly" | "reset"): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadline.remove();
    this.#wire?.discard();
    this.#input = null;
    this.#head.release();
    const socket = this.#socket;
    this.#socket = null;
    this.#keeper.closed(this);
    if (how === "reset") socket?.reset();
    else socket?.close();
  }
}

const NOWHERE: BodySink = { data() {}, end() {}, fail() {} };
