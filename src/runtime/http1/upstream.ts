/**
 * One connection to an endpoint, speaking HTTP/1.1: writes one request at a time, reads its answer, and goes back to
 * its pool when both ended as they should. Nothing is believed of it after that: surplus bytes, a cut-off body, an
 * answer before the request's end or `Connection: close` retire it (RFC 9112 section 9.3).
 */

import type { ByteSocket, SocketError, SocketOwner, Sockets } from "../../machine.ts";
import type { BodySink, BodySource, ChunkOwner, Failure, FieldTable } from "../../types.ts";
import type { Deadline } from "../deadlines.ts";
import { MessageFailure } from "../failures.ts";
import { flushWires, Wire } from "../wire.ts";
import { NOWHERE } from "./body-sinks.ts";
import type { CallOwner, ConnectionKeeper, Destination } from "./call-owner.ts";
import { writeChunk, writeLastChunk } from "./chunk-writer.ts";
import { disbeliefOf } from "./disbelief.ts";
import type { Head } from "./head.ts";
import { keepNodeReason } from "./node-reason.ts";
import { ResponseReader } from "./response-reader.ts";

type State = "connecting" | "idle" | "awaiting-head" | "body" | "tunnel" | "closed";

const CLOSED = "closed the connection";
/** More interim answers than this to one request are a storm. */
const INFORMATIONAL_MAX = 100;
/** A body that nobody wants is read to its end when this much is left, so that the connection lives. */
const DISCARDED_BYTES_MAX = 64 * 1024;

export class UpstreamConnection implements SocketOwner, BodySource, BodySink, ChunkOwner {
  /** How many answers this connection gave: a failure of a fresh one is the endpoint's, of an old one maybe the clock's. */
  answers = 0;
  /** When the certificate ends that proved its endpoint's identity, where one is demanded. */
  provedUntilEpochMs = Infinity;
  readonly #keeper: ConnectionKeeper<UpstreamConnection>;
  readonly #deadline: Deadline;
  readonly #response: ResponseReader;
  #giveUp: (() => void) | null = null;
  #secured: "yes" | "no" = "no";
  #wire: Wire | null = null;
  #state: State = "connecting";
  #owner: CallOwner | null = null;
  #sink: BodySink | null = null;
  #informational = 0;
  /** How the connection ended, while what came before that still waits for its reader. */
  #over: string | null = null;
  /** In a tunnel: the endpoint sent FIN, and FIN follows what the caller sent. */
  #readEnded = false;
  #writeEnded = false;
  #request: "none" | "sending" | "sent" = "none";
  #requestChunked = false;
  #requestSource: BodySource | null = null;
  #requestPaused = false;

  constructor(keeper: ConnectionKeeper<UpstreamConnection>) {
    this.#keeper = keeper;
    this.#response = new ResponseReader(keeper.limits);
    this.#deadline = keeper.deadlines.create(() => this.#expired());
  }

  get lengthBytes(): number | null {
    const { framing, bodyBytes } = this.#response.facts;
    return framing === "none" ? 0 : framing === "length" ? bodyBytes : null;
  }

  get state(): State {
    return this.#state;
  }

  /** Where the request's head is written; only for the owner of the call, before its body. */
  get wire(): Wire {
    return this.#wire!;
  }

  /** Dials; the keeper hears of the outcome, which includes that `timeoutMs` passed. */
  open(sockets: Pick<Sockets, "connect">, to: Destination): void {
    this.#deadline.set(this.#keeper.deadlines.now + to.connectTimeoutMs);
    if (to.tls !== null) this.#secured = "yes";
    this.#giveUp = sockets.connect(to.address, this, ...(to.tls === null ? [] : [to.tls]));
  }

  // ---- the request ----

  /** Begins a call. The owner then writes the head to `wire`, and pipes the body into this connection or calls `end`. */
  begin(owner: CallOwner, body: "none" | "length" | "chunked" | "tunnel"): void {
    this.#state = body === "tunnel" ? "tunnel" : "awaiting-head";
    this.#owner = owner;
    this.#informational = 0;
    if (body === "tunnel") this.#touchSilence();
    else this.#deadline.clear();
    this.#request = body === "none" ? "sent" : "sending";
    this.#requestChunked = body === "chunked";
  }

  /** Who to hold back when the endpoint takes bytes too slowly. */
  feed(source: BodySource): void {
    this.#requestSource = source;
  }

  data(bytes: Buffer, start: number, end: number): void {
    const wire = this.#wire;
    if (wire === null || start === end || this.#state === "closed") return;
    if (this.#requestChunked) writeChunk(wire, bytes, start, end);
    else wire.write(bytes, start, end);
    if (this.#state !== "awaiting-head") this.#touchSilence();
    if (wire.waitingBytes > this.#keeper.limits.bufferHighBytes && this.#requestSource !== null) {
      this.#requestPaused = true;
      this.#requestSource.pause();
    }
  }

  end(trailers: FieldTable | null): void {
    this.#requestSource = null;
    if (this.#state === "closed" || this.#wire === null) return;
    if (this.#state === "tunnel") {
      this.#wire.end();
      this.#writeEnded = true;
      this.#closeTunnel();
      return;
    }
    if (this.#requestChunked) writeLastChunk(this.#wire, trailers);
    this.#request = "sent";
  }

  hasSpent(bytes: Buffer, owner: ChunkOwner): boolean {
    return this.#wire?.hasSpent(bytes, owner) ?? false;
  }

  /** Where an answer is on its way already, it ends here too. */
  fail(failure: Failure): void {
    const sink = this.#sink;
    this.abort();
    sink?.fail(failure);
  }

  // ---- the answer ----

  pipe(sink: BodySink): void {
    if (this.#state === "closed") {
      sink.fail(new MessageFailure("truncated", "the connection was given up", { side: "upstream" }));
      return;
    }
    this.#sink = sink;
    this.resume();
    this.#advance();
  }

  pause(): void {
    this.#wire?.pause();
  }

  resume(): void {
    this.#wire?.resume();
  }

  /** The rest of the answer is not wanted. */
  cancel(): void {
    if (this.#state !== "body") return;
    const { facts, leftBytes } = this.#response;
    const short = facts.framing === "length" && leftBytes <= DISCARDED_BYTES_MAX;
    if (short && this.#request === "sent") this.pipe(NOWHERE);
    else this.abort();
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
    this.#wire = new Wire(socket, this.#keeper.limits.bufferLowBytes, () => this.#drained());
    this.#keeper.deadlines.touch();
    this.#keeper.connected(this);
    flushWires();
  }

  onData(chunk: Buffer): void {
    this.#keeper.deadlines.touch();
    this.#response.append(chunk);
    this.#advance();
    flushWires();
  }

  reclaim(chunk: Buffer | null): void {
    if (chunk !== null) this.#wire?.reclaim(chunk);
  }

  onDrain(): void {
    this.#wire?.onDrain();
    flushWires();
  }

  onEnd(): void {
    if (this.#state === "tunnel") {
      this.#readEnded = true;
      this.#sink?.end(null);
      this.#closeTunnel();
    } else this.#ended(CLOSED);
    flushWires();
  }

  onClose(error: SocketError | null): void {
    if (this.#state === "connecting")
      this.#notConnected(error ?? { code: "ECLOSED", message: "closed while connecting" });
    else if (error?.code === "ETLS") this.#lost(error.message, "connect-failure");
    else this.#ended(error === null ? CLOSED : `lost the connection: ${error.code}`);
    flushWires();
  }

  #notConnected(error: SocketError): void {
    this.#state = "closed";
    this.#deadline.remove();
    this.#keeper.connectFailed(this, error);
  }

  #drained(): void {
    if (this.#requestPaused) {
      this.#requestPaused = false;
      this.#requestSource?.resume();
    }
    if (this.#state === "tunnel") this.#closeTunnel();
  }

  /** A tunnel is over when both ends said so and the last bytes are out. */
  #closeTunnel(): void {
    if (this.#readEnded && this.#writeEnded && this.#wire?.waitingBytes === 0) this.#close("orderly");
  }

  #advance(): void {
    const response = this.#response;
    for (;;) {
      const { state } = this;
      if (state === "body" && this.#sink !== null && response.isWhole) this.#complete(this.#sink);
      else if (!response.hasInput) break;
      else if (state === "awaiting-head") {
        if (!this.#readHead()) return;
      } else if (state === "body" || state === "tunnel") {
        if (this.#sink === null) {
          if (response.inputBytes > this.#keeper.limits.bufferHighBytes) this.pause();
          return;
        }
        this.#deliver(this.#sink);
      } else {
        // Bytes that nobody asked for: what they would be taken for cannot be known.
        response.dropInput();
        this.#close("reset");
      }
    }
    if (this.#over !== null && this.#sink !== null) this.#lost(this.#over);
  }

  /** False when the head needs more bytes, or the connection is gone. */
  #readHead(): boolean {
    const owner = this.#owner!;
    const { head, facts } = this.#response;
    const outcome = this.#response.readHead(owner.method);
    if (outcome === "more") return false;
    if (outcome === "bad") return this.#malformed(this.#response.problem!);
    if (head.status < 200) return this.#interim(owner, head);
    const disbelief = this.answers === 0 && this.#secured === "yes" ? disbeliefOf(head) : null;
    if (disbelief !== null) return this.#turnedDown(disbelief);
    if (this.provedUntilEpochMs !== Infinity) keepNodeReason(head);
    this.answers++;
    this.#state = "body";
    this.#touchSilence();
    owner.onHead(head, facts);
    return true;
  }

  /** What it said came before anything that it was asked: it read nothing, as after an alert that says the same. */
  #turnedDown(why: string): false {
    this.#response.dropInput();
    this.#lost(why, "connect-failure");
    return false;
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

  #deliver(sink: BodySink): void {
    this.#touchSilence();
    if (this.#state === "tunnel") this.#response.takeAll(sink);
    else if (this.#response.readBody(sink) === "bad") this.#lost(`answered with a ${this.#response.problem}`);
    else this.reclaim(this.#response.spentBy(sink, this));
  }

  /** The answer is whole. The connection goes back first, so that what follows from the answer may use it. */
  #complete(sink: BodySink): void {
    const response = this.#response;
    const { trailers } = response;
    const reusable = response.facts.keepAlive === "yes" && this.#request === "sent" && !response.hasInput;
    this.#owner = null;
    this.#sink = null;
    this.#requestSource = null;
    response.release();
    this.resume();
    if (reusable && this.#over === null) this.ready();
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
    owner?.onFailure(
      new MessageFailure("upstream-malformed", `the answer is malformed: ${problem}`, { side: "upstream" }),
    );
    return false;
  }

  /** The connection ended by itself. What came before counts, also when nobody reads it yet. */
  #ended(how: string): void {
    if (this.#state === "body" && this.#sink === null) this.#over ??= how;
    else this.#lost(how);
  }

  /** The connection ended by itself, or must: whoever waits for something from it is told. */
  #lost(how: string, kind: "upstream-reset" | "connect-failure" = "upstream-reset"): void {
    const state = this.#state;
    if (state === "closed") return;
    const { facts: answer, hasInput } = this.#response;
    const owner = this.#owner;
    const sink = this.#sink;
    this.#owner = null;
    this.#sink = null;
    this.#close(how === CLOSED ? "orderly" : "reset");
    if (state === "awaiting-head") {
      // An old connection that closes before a byte of an answer was most likely closed before the request came.
      const early = this.answers > 0 || kind === "connect-failure";
      const untouched = early && this.#informational === 0 && !hasInput;
      const facts = { side: "upstream", ...(untouched ? { retryable: "yes" as const } : {}) } as const;
      owner?.onFailure(new MessageFailure(untouched ? kind : "upstream-reset", how, facts));
    } else if (state === "body" && answer.framing === "until-close" && how === CLOSED) sink?.end(null);
    else sink?.fail(new MessageFailure("truncated", how, { side: "upstream" }));
  }

  #close(how: "orderly" | "reset"): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadline.remove();
    this.#response.dropInput();
    this.#response.release();
    this.#keeper.closed(this);
    this.#wire?.close(how);
  }
}
