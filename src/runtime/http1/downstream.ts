/**
 * One connection of a caller, speaking HTTP/1.1: reads one request at a time, in order, and writes its answer. What it
 * cannot trust it refuses at the first wrong byte and closes (RFC 9112 section 11.2); a connection whose request was
 * not read to its end is never read as if a next one began (section 9.3).
 */
import type { ByteSocket, SocketError, SocketOwner } from "../../machine.ts";
import type { BodySink, BodySource, Failure } from "../../types.ts";
import { ANSWERS, type Answer, headAnswer, MessageFailure } from "../failures.ts";
import { flushWires } from "../wire.ts";
import { NOWHERE } from "./body-sinks.ts";
import { type AnsweredConnection, CallerAnswer } from "./caller-answer.ts";
import { CallerSocket } from "./caller-socket.ts";
import type { Head } from "./head.ts";
import type { ConnectionTaker, RequestOwner, TunnelTarget } from "./request-owner.ts";
import { giveBackReader, NO_REQUEST, type RequestReader, takeReader } from "./request-reader.ts";

export type RequestTaker = ConnectionTaker<DownstreamConnection>;

type State = "head" | "busy" | "tunnel" | "closing" | "closed";

/** While draining, how long a connection without any request yet may take to send one, and one between two requests. */
const FIRST_REQUEST_MS = 1_000;
const NEXT_REQUEST_MS = 500;
/** After the last answer, how long a caller may take to close its side. */
const LINGER_MS = 2_000;

export class DownstreamConnection
  extends CallerSocket
  implements SocketOwner, BodySource, AnsweredConnection
{
  /** Under way, until its answer is whole; and who answers it, null without one. */
  request: RequestReader = NO_REQUEST;
  owner: RequestOwner | null = null;
  readonly answer: CallerAnswer;
  /** What the taker keeps for this connection. */
  peer: unknown = null;
  /** Where the tunnel leads in which its requests come; null without one. */
  within: TunnelTarget | null = null;
  /** From the last byte of the request to the answer's head. */
  answerTimeoutMs: number;
  readonly #taker: RequestTaker;
  #state: State = "head";
  #advancing = false;
  #sink: BodySink | null = null;
  /** The caller sent FIN. */
  #readEnded = false;
  /** FIN follows what the tunnel's other end sent. */
  #writeEnded = false;
  /** No byte came since the last answer: the next one begins the time that a head may take. */
  #resting = false;

  constructor(taker: RequestTaker) {
    super(taker);
    this.#taker = taker;
    this.answer = new CallerAnswer(this);
    this.answerTimeoutMs = taker.limits.routeTimeoutMs;
  }

  get state(): State {
    return this.#state;
  }

  get draining(): "yes" | "no" {
    return this.#taker.draining;
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

  /** The body is not wanted: nothing to tell in HTTP/1.1 but to close after the answer. */
  cancel(): void {
    this.#sink = NOWHERE;
    this.answer.connection = "close";
  }

  // ---- the answer's ways to end ----

  answered(): void {
    const owner = this.owner;
    this.owner = null;
    owner?.onAnswered();
    if (this.#state === "closed") return;
    if (this.answer.connection === "close" || !this.request.allowsNext) this.#linger();
    else if (this.request.isWhole) this.#nextRequest();
    else {
      // A short body that nobody wanted is read and dropped, so that the connection lives.
      this.setDeadline(this.#taker.limits.headerTimeoutMs);
      this.pipe(NOWHERE);
    }
  }

  broken(failure: Failure): void {
    const owner = this.owner;
    this.#close("reset");
    owner?.onBroken(failure);
  }

  #nextRequest(): void {
    this.#sink = null;
    this.#state = "head";
    this.#resting = true;
    this.answer.restart();
    this.#releaseReader();
    this.setDeadline(this.draining === "yes" ? NEXT_REQUEST_MS : this.#taker.limits.idleTimeoutMs);
    this.resume();
    this.#advance();
  }

  /** What came after the request is the begin of the next one; without it nothing is kept until that comes. */
  #releaseReader(): void {
    const { request } = this;
    this.reclaim(request.release());
    if (request.hasInput || request === NO_REQUEST) return;
    this.request = NO_REQUEST;
    giveBackReader(request);
  }

  /** Says that nothing more will be said, and waits a little for the caller's own end: closing on unread bytes would reset. */
  #linger(): void {
    this.#state = "closing";
    this.request.release();
    this.request.dropInput();
    this.wire?.end();
    this.resume();
    this.#awaitClose();
  }

  /** The time to close counts from the last byte that went out, not from the last that was given to the wire. */
  #awaitClose(): void {
    const { silenceTimeoutMs } = this.#taker.limits;
    if (this.waitingBytes > 0) this.setDeadline(silenceTimeoutMs);
    else if (this.#readEnded) this.#close("orderly");
    else this.setDeadline(LINGER_MS);
  }

  // ---- a tunnel ----

  /** From now on bytes both ways; those that the caller sent after its request's head come first. */
  tunnel(head: Head | null): void {
    this.answer.tunnel(head);
    this.#state = "tunnel";
    this.touchSilence();
  }

  /** A tunnel that ends here: what comes through it are requests. */
  serveWithin(target: TunnelTarget): void {
    this.within = target;
    this.request.facts.connect = "refused";
    this.answer.established();
    this.answered();
  }

  tunnelEnded(): void {
    this.#writeEnded = true;
    this.#closeTunnel();
  }

  /** A tunnel is over when both ends said so and the last bytes are out. */
  #closeTunnel(): void {
    if (!this.#readEnded || !this.#writeEnded || this.waitingBytes > 0) return;
    const owner = this.owner;
    this.#close("orderly");
    owner?.onAnswered();
  }

  // ---- draining ----

  /**
   * Answers say `connection: close` from now on. A connection without a request is closed when none comes soon: it may
   * be on its way, and its caller would take the end for a failure.
   */
  drain(): void {
    if (this.#state !== "head" || this.request.hasInput) return;
    this.setDeadline(this.#resting ? NEXT_REQUEST_MS : FIRST_REQUEST_MS);
  }

  /** Ends it at once. */
  abort(): void {
    this.#gone("the connection was ended");
  }

  // ---- the socket ----

  onOpen(socket: ByteSocket): void {
    this.answer.opened(this.opened(socket));
    this.#taker.deadlines.touch();
    // A handshake may end while the listener drains.
    this.setDeadline(this.draining === "yes" ? FIRST_REQUEST_MS : this.#taker.limits.headerTimeoutMs);
  }

  onData(chunk: Buffer): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#taker.deadlines.touch();
    if (this.request === NO_REQUEST) this.#takeReader();
    this.request.append(chunk);
    this.#advance();
    flushWires();
  }

  onDrain(): void {
    this.#taker.deadlines.touch();
    this.wire?.onDrain();
    if (this.#state === "closing") this.#awaitClose();
    else if (this.answer.started) this.touchSilence();
    flushWires();
  }

  onEnd(): void {
    this.#readEnded = true;
    if (this.#state === "tunnel") {
      this.#sink?.end(null);
      this.#closeTunnel();
    } else if (this.owner !== null) this.#gone("the caller closed the connection");
    else if (this.#state === "closing") this.#awaitClose();
    else if (this.#state !== "closed") this.#linger();
    flushWires();
  }

  onClose(error: SocketError | null): void {
    this.#gone(
      error === null ? "the caller closed the connection" : `the caller's connection was lost: ${error.code}`,
    );
    flushWires();
  }

  protected drained(): void {
    this.answer.drained();
    if (this.#state === "tunnel") this.#closeTunnel();
    else if (this.#state === "head" && this.request.hasInput) {
      this.resume();
      this.#advance();
    }
  }

  // ---- reading ----

  #takeReader(): void {
    const { limits, connect } = this.#taker;
    this.request = takeReader(limits, this.within === null ? connect : "refused");
  }

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
        if (this.waitingBytes > this.bufferHighBytes) return this.#wait();
        return this.#readHead();
      case "tunnel":
        if (this.#sink === null) return this.#wait();
        this.touchSilence();
        request.takeAll(this.#sink);
        return true;
      case "busy":
        if (this.#sink === null || request.isWhole) return this.#wait();
        this.touchSilence();
        return this.#readBody(this.#sink);
      default:
        request.dropInput();
        return false;
    }
  }

  #wait(): false {
    if (this.request.inputBytes > this.bufferHighBytes) this.pause();
    return false;
  }

  #readHead(): boolean {
    const { request } = this;
    const outcome = request.readHead();
    if (outcome === "more") {
      if (this.#resting) this.setDeadline(this.#taker.limits.headerTimeoutMs);
      this.#resting = false;
      return false;
    }
    if (outcome === "bad") {
      const problem = request.problem!;
      const isTls = this.within !== null && problem === "tls-on-plain-port";
      this.#refuse(isTls ? ANSWERS["tls-in-tunnel"] : headAnswer(problem));
      return false;
    }
    if (this.within !== null) request.facts.cameThrough(this.within);
    this.#state = "busy";
    this.answerTimeoutMs = this.#taker.limits.routeTimeoutMs;
    const owner = this.#taker.take(this);
    this.owner = owner;
    owner.start();
    this.awaitAnswer();
    return true;
  }

  /** The time for an answer begins. */
  awaitAnswer(): void {
    if (this.#state !== "busy" || this.answer.started) return;
    // A body that nobody reads yet keeps no time of its own.
    if (this.request.isWhole || this.#sink === null) this.setDeadline(this.answerTimeoutMs);
    else this.touchSilence();
  }

  #readBody(sink: BodySink): boolean {
    const { request } = this;
    const outcome = request.readBody(sink);
    if (outcome !== "bad") this.reclaim(request.spentBy(sink, this));
    if (outcome === "more") return true;
    if (outcome === "bad") {
      this.#badBody(sink, request.problem!);
      return false;
    }
    if (this.owner === null) {
      this.#nextRequest();
      return true;
    }
    this.#sink = null;
    sink.end(request.trailers);
    if (this.#state === "busy" && !this.answer.started) this.setDeadline(this.answerTimeoutMs);
    return true;
  }

  #badBody(sink: BodySink, problem: string): void {
    const owner = this.owner;
    sink.fail(
      new MessageFailure("bad-body", `the request's body is malformed: ${problem}`, { side: "downstream" }),
    );
    if (owner === null) this.#linger();
    else if (this.answer.started) this.#gone(`the request's body is malformed: ${problem}`);
    else owner.giveUp({ ...ANSWERS["bad-body"], reason: problem });
  }

  /** Answers a head that cannot be trusted, and closes: where the next request would begin is in doubt. */
  #refuse(answer: Answer): void {
    this.#state = "busy";
    this.answer.connection = "close";
    this.answer.own(answer);
    this.#taker.refused(this, answer);
  }

  // ---- time ----

  protected expired(): void {
    if (this.#state === "head" && this.request.hasInput) this.#refuse(ANSWERS["header-timeout"]);
    else if (this.#state === "head") this.#linger();
    else if (this.#state === "closing" && this.waitingBytes === 0) this.#close("orderly");
    else if (this.#state === "busy" && this.owner !== null && !this.answer.started) {
      // Held back, or not read at all: it is not the caller who is late.
      const { request } = this;
      const late =
        request.isWhole || this.wire?.paused || this.#sink === null ? "upstream-timeout" : "body-timeout";
      if (!request.isWhole) this.cancel();
      this.owner.giveUp(ANSWERS[late]);
    } else this.#gone("silent for too long");
    flushWires();
  }

  // ---- the end ----

  /** Ends what is under way, and tells everybody in it. */
  #gone(how: string): void {
    if (this.#state === "closed") return;
    const owner = this.owner;
    const sink = this.#sink;
    const failure = new MessageFailure("caller-left", how, { side: "downstream" });
    const source = this.#close("reset");
    sink?.fail(failure);
    owner?.onBroken(failure);
    source?.cancel();
  }

  /** Returns who was still sending the answer. */
  #close(how: "orderly" | "reset"): BodySource | null {
    if (this.#state === "closed") return null;
    this.#state = "closed";
    this.owner = null;
    this.#sink = null;
    const source = this.answer.closed();
    this.request.release();
    this.request.dropInput();
    this.shut(how);
    this.#taker.closed(this);
    return source;
  }
}
