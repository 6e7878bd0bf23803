/**
 * One connection of a caller, speaking HTTP/1.1: reads one request at a time, in order, and writes its answer. What it
 * cannot trust it refuses at the first wrong byte and closes (RFC 9112 section 11.2); a connection whose request was
 * not read to its end is never read as if a next one began (section 9.3).
 */
import type { MessageLimits } from "../../snapshot.ts";
import type { BodySink, BodySource, ByteSocket, Failure, FieldTable, SocketError, SocketOwner } from "../../types.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import { ANSWERS, type Answer, headAnswer, MessageFailure } from "../failures.ts";
import { flushWires, Wire } from "../wire.ts";
import { type EditedHead, writeEditedHead, writeForwardedHead, writeInterimHead } from "./answer.ts";
import { writeChunk, writeLastChunk } from "./chunk-writer.ts";
import { Head } from "./head.ts";
import { RequestReader } from "./request-reader.ts";
import { type BodyFraming, isBodiless, type ResponseFacts } from "./response-rules.ts";

/** Who answers one request. */
export interface RequestOwner {
  start(): void;
  /** The caller left, or was sent away, before the answer was whole. */
  onBroken(failure: Failure): void;
  /** Nothing was answered yet, and no service will: the time is over, or the body is bad. */
  giveUp(answer: Answer): void;
  /** The answer's last byte was given to the connection. */
  onAnswered(): void;
}

/** Who takes the requests of a listener's connections. */
export interface RequestTaker {
  readonly limits: MessageLimits;
  readonly deadlines: Deadlines;
  /** When draining, answers close their connections. */
  readonly draining: "yes" | "no";
  take(connection: DownstreamConnection): RequestOwner;
  /** A head was refused by the codec; it has been answered. */
  refused(connection: DownstreamConnection, answer: Answer): void;
  closed(connection: DownstreamConnection): void;
}

type State = "head" | "busy" | "tunnel" | "closing" | "closed";

/** After the last answer, how long a caller may take to close its side. */
const LINGER_MS = 2_000;
/** The longest body that is read to its end although the answer did not need it. */
const DISCARDED_BYTES_MAX = 64 * 1024;

export class DownstreamConnection implements SocketOwner, BodySource, BodySink {
  readonly request: RequestReader;
  remoteAddress = "";
  localPort = 0;
  /** What the taker keeps for this connection. */
  peer: unknown = null;
  /** From the last byte of the request to the answer's head. */
  answerTimeoutMs: number;
  readonly #taker: RequestTaker;
  readonly #deadline: Deadline;
  #socket: ByteSocket | null = null;
  #wire: Wire | null = null;
  #state: State = "head";
  #advancing = false;
  #owner: RequestOwner | null = null;
  #sink: BodySink | null = null;
  #paused = false;
  #readEnded = false;
  #answer: BodyFraming | "unsent" = "unsent";
  #answerConnection: "keep" | "close" = "keep";
  #answerSource: BodySource | null = null;
  #answerPaused = false;

  constructor(taker: RequestTaker) {
    this.#taker = taker;
    this.request = new RequestReader(taker.limits);
    this.answerTimeoutMs = taker.limits.routeTimeoutMs;
    this.#deadline = taker.deadlines.create(() => this.#expired());
  }

  get state(): State {
    return this.#state;
  }

  get answerStarted(): boolean {
    return this.#answer !== "unsent";
  }

  /** Bytes given to the socket so far, for the size of an answer. */
  get writtenBytes(): number {
    return this.#wire?.writtenBytes ?? 0;
  }

  // ---- the request's body: a source ----

  get lengthBytes(): number | null {
    return this.request.bodyBytes < 0 ? null : this.request.bodyBytes;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
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

  /** The body is not wanted: nothing to tell in HTTP/1.1 but to close after the answer. */
  cancel(): void {
    this.#sink = NOWHERE;
    this.#answerConnection = "close";
  }

  // ---- the answer ----

  /** Passes an interim answer on; HTTP/1.0 knows none. */
  interim(head: Head): void {
    if (this.#wire === null || this.request.minor === 0 || this.answerStarted) return;
    if (head.status === 100) this.request.continued();
    writeInterimHead(this.#wire, head);
  }

  /** Lets a caller send its body who waits to be asked (RFC 9110 section 10.1.1). */
  sendContinue(): void {
    if (!this.request.continueAwaited || this.answerStarted) return;
    this.request.continued();
    this.#wire?.writeText("HTTP/1.1 100 Continue\r\n\r\n");
    flushWires();
  }

  /** Begins an answer with the head that the service sent. Its body follows through `data` and `end`. */
  answerForwarded(head: Head, facts: ResponseFacts): void {
    if (this.#wire === null) return;
    const framing = this.#frame(facts.framing);
    writeForwardedHead(this.#wire, head, {
      framing,
      bodyBytes: facts.bodyBytes,
      connection: this.#answerConnection,
      minor: this.request.minor,
    });
  }

  /** Begins an answer with a head that filters changed, or our own. */
  answerEdited(edited: EditedHead, body: { framing: BodyFraming; bodyBytes: number }): void {
    if (this.#wire === null) return;
    const bodiless = isBodiless(edited.status) || this.request.method === "HEAD";
    const framing = this.#frame(bodiless ? "none" : body.framing);
    const said = framing === "none" && !bodiless ? "length" : framing;
    writeEditedHead(this.#wire, edited, {
      framing: said,
      bodyBytes: body.bodyBytes,
      connection: this.#answerConnection,
      minor: this.request.minor,
    });
  }

  /** A whole small answer of our own. */
  answerWhole(edited: EditedHead, body: Buffer): void {
    this.answerEdited(edited, { framing: body.length === 0 ? "none" : "length", bodyBytes: body.length });
    if (this.#answer === "length") this.data(body, 0, body.length);
    this.end(null);
  }

  /** Who to hold back when the caller takes bytes too slowly. */
  feed(source: BodySource): void {
    this.#answerSource = source;
  }

  #frame(wanted: BodyFraming): BodyFraming {
    // A body whose end only a closed connection tells can be told better, to whoever knows how.
    let framing = wanted === "until-close" && this.request.minor === 1 ? "chunked" : wanted;
    if (framing === "chunked" && this.request.minor === 0) framing = "until-close";
    const unread = this.request.continueAwaited;
    if (framing === "until-close" || unread || this.request.keepAlive === "no" || this.#taker.draining === "yes") {
      this.#answerConnection = "close";
    }
    this.#answer = framing;
    this.#touchSilence();
    return framing;
  }

  data(bytes: Buffer, start: number, end: number): void {
    const wire = this.#wire;
    if (wire === null || start === end || this.#answer === "none") return;
    if (this.#answer === "chunked") writeChunk(wire, bytes, start, end);
    else wire.write(bytes, start, end);
    this.#touchSilence();
    if (wire.waitingBytes > this.#taker.limits.bufferHighBytes && this.#answerSource !== null) {
      this.#answerPaused = true;
      this.#answerSource.pause();
    }
  }

  end(trailers: FieldTable | null): void {
    if (this.#wire === null) return;
    if (this.#state === "tunnel") {
      this.#wire.end();
      return;
    }
    if (this.#answer === "chunked") writeLastChunk(this.#wire, trailers);
    this.#finishAnswer();
  }

  /** The answer will never be whole: the caller must not take it for one. */
  fail(failure: Failure): void {
    const owner = this.#owner;
    this.#close("reset");
    owner?.onBroken(failure);
  }

  #finishAnswer(): void {
    const owner = this.#owner;
    this.#owner = null;
    this.#answerSource = null;
    owner?.onAnswered();
    if (this.#state === "closed") return;
    if (this.#answerConnection === "close" || !this.#canReadOn()) {
      this.request.release();
      this.#linger();
    } else if (this.request.isWhole) this.#nextRequest();
    else {
      // A short body that nobody wanted is read and dropped, so that the connection lives.
      this.#deadline.set(this.#taker.deadlines.now + this.#taker.limits.headerTimeoutMs);
      this.pipe(NOWHERE);
    }
  }

  /** Whether the request's end is near enough to be read (RFC 9112 section 9.3). */
  #canReadOn(): boolean {
    const { request } = this;
    return request.isWhole || (request.bodyBytes >= 0 && request.bodyBytes <= DISCARDED_BYTES_MAX);
  }

  #nextRequest(): void {
    this.#sink = null;
    this.#state = "head";
    this.#answer = "unsent";
    this.request.release();
    this.#deadline.set(this.#taker.deadlines.now + this.#taker.limits.idleTimeoutMs);
    this.resume();
    this.#advance();
  }

  /** Says that nothing more will be said, and waits a little for the caller's own end: closing on unread bytes would reset. */
  #linger(): void {
    this.#state = "closing";
    this.request.dropInput();
    this.#wire?.end();
    this.resume();
    this.#deadline.set(this.#taker.deadlines.now + LINGER_MS);
  }

  // ---- a tunnel ----

  /** From now on bytes both ways; those that the caller sent after its request's head come first. */
  tunnel(head: Head): void {
    if (this.#wire === null) return;
    writeInterimHead(this.#wire, head);
    this.#state = "tunnel";
    this.#answer = "until-close";
    this.#touchSilence();
  }

  // ---- draining ----

  /** Closes the connection when it waits for a request; else its next answer says `connection: close`. */
  drain(): void {
    if (this.#state === "head" && !this.request.hasInput) this.#linger();
  }

  /** Ends it at once. */
  abort(): void {
    this.#close("reset");
  }

  // ---- the socket ----

  onOpen(socket: ByteSocket): void {
    this.#socket = socket;
    this.remoteAddress = socket.remoteAddress;
    this.localPort = socket.localPort;
    this.#wire = new Wire(socket, this.#taker.limits.bufferLowBytes, () => this.#drained());
    this.#deadline.set(this.#taker.deadlines.touch() + this.#taker.limits.headerTimeoutMs);
  }

  onData(chunk: Buffer): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#taker.deadlines.touch();
    this.request.append(chunk);
    this.#advance();
    flushWires();
  }

  onDrain(): void {
    this.#taker.deadlines.touch();
    this.#wire?.onDrain();
    flushWires();
  }

  onEnd(): void {
    if (this.#state === "tunnel") {
      this.#readEnded = true;
      this.#sink?.end(null);
    } else if (this.#state === "busy") this.#gone("the caller closed the connection");
    else this.#linger();
    flushWires();
  }

  onClose(error: SocketError | null): void {
    this.#socket = null;
    this.#gone(error === null ? "the caller closed the connection" : `the caller's connection was lost: ${error.code}`);
    flushWires();
  }

  #drained(): void {
    if (this.#answerPaused) {
      this.#answerPaused = false;
      this.#answerSource?.resume();
    }
    if (this.#state === "head" && this.request.hasInput) {
      this.resume();
      this.#advance();
    }
  }

  // ---- reading ----

  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.request.hasInput && this.#step()) {}
    this.#advancing = false;
  }

  /** Takes one step with the input; false when it has to wait. */
  #step(): boolean {
    const { request } = this;
    switch (this.#state) {
      case "head":
        // A caller that sends requests but reads no answers gets no further ones made.
        if ((this.#wire?.waitingBytes ?? 0) > this.#taker.limits.bufferHighBytes) return this.#wait();
        return this.#readHead();
      case "tunnel":
        if (this.#sink === null) return this.#wait();
        this.#touchSilence();
        request.takeAll(this.#sink);
        return true;
      case "busy":
        if (this.#sink === null || request.isWhole) return this.#wait();
        this.#touchSilence();
        return this.#readBody(this.#sink);
      default:
        request.dropInput();
        return false;
    }
  }

  #wait(): false {
    if (this.request.inputBytes > this.#taker.limits.bufferHighBytes) this.pause();
    return false;
  }

  #readHead(): boolean {
    const { request } = this;
    const first = request.isScanning ? "no" : "yes";
    const outcome = request.readHead();
    if (outcome === "more") {
      if (first === "yes") this.#deadline.set(this.#taker.deadlines.now + this.#taker.limits.headerTimeoutMs);
      return false;
    }
    if (outcome === "bad") {
      this.#refuse(headAnswer(request.problem!));
      return false;
    }
    this.#state = "busy";
    this.#answer = "unsent";
    this.#answerConnection = "keep";
    this.answerTimeoutMs = this.#taker.limits.routeTimeoutMs;
    const owner = this.#taker.take(this);
    this.#owner = owner;
    owner.start();
    if (this.#state === "busy" && !this.answerStarted) {
      if (request.isWhole) this.#awaitAnswer();
      else this.#touchSilence();
    }
    return true;
  }

  #awaitAnswer(): void {
    this.#deadline.set(this.#taker.deadlines.now + this.answerTimeoutMs);
  }

  #readBody(sink: BodySink): boolean {
    const { request } = this;
    const outcome = request.readBody(sink);
    if (outcome === "more") return true;
    if (outcome === "bad") {
      sink.fail(new MessageFailure("bad-body", `the request's body is malformed: ${request.problem}`, { side: "downstream" }));
      if (this.answerStarted) this.#close("reset");
      else this.#owner?.giveUp({ ...ANSWERS["bad-body"], reason: request.problem ?? "bad-body" });
      return false;
    }
    if (this.#owner === null) {
      this.#nextRequest();
      return true;
    }
    this.#sink = null;
    sink.end(request.trailers);
    if (this.#state === "busy" && !this.answerStarted) this.#awaitAnswer();
    return true;
  }

  /** Answers a head that cannot be trusted, and closes: where the next request would begin is in doubt. */
  #refuse(answer: Answer): void {
    this.#answerConnection = "close";
    this.#state = "busy";
    this.answerWhole(ownHead(answer), Buffer.from(`${answer.reason}: ${answer.sentence}\n`));
    this.#taker.refused(this, answer);
  }

  #touchSilence(): void {
    this.#deadline.set(this.#taker.deadlines.now + this.#taker.limits.silenceTimeoutMs);
  }

  #expired(): void {
    const { request } = this;
    if (this.#state === "head" && request.hasInput) this.#refuse(ANSWERS["header-timeout"]);
    else if (this.#state === "head") this.#linger();
    else if (this.#state === "busy" && !this.answerStarted) {
      const answer = request.isWhole ? ANSWERS["upstream-timeout"] : ANSWERS["body-timeout"];
      if (!request.isWhole) this.cancel();
      this.#owner?.giveUp(answer);
    } else this.#gone("silent for too long");
    flushWires();
  }

  #gone(how: string): void {
    if (this.#state === "closed") return;
    const owner = this.#owner;
    const sink = this.#sink;
    const failure = new MessageFailure("caller-left", how, { side: "downstream" });
    const orderly = this.#state === "tunnel" && this.#readEnded;
    this.#close(orderly ? "orderly" : "reset");
    if (!orderly) sink?.fail(failure);
    owner?.onBroken(failure);
  }

  #close(how: "orderly" | "reset"): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#deadline.remove();
    this.#wire?.discard();
    this.#owner = null;
    this.#sink = null;
    this.#answerSource = null;
    this.request.release();
    const socket = this.#socket;
    this.#socket = null;
    if (how === "reset") socket?.reset();
    else socket?.close();
    this.#taker.closed(this);
  }
}

const NOWHERE: BodySink = { data() {}, end() {}, fail() {} };

/** The head of an answer that Clearway makes itself. */
export function ownHead(answer: Answer): EditedHead {
  return {
    status: answer.status,
    reason: null,
    fields: null,
    removed: [],
    added: ["content-type", "text/plain; charset=utf-8", "x-clearway-reason", answer.reason],
  };
}

