/**
 * The answering half of a caller's connection: one answer after the other, heads and bodies framed as the caller's
 * version asks, the sender held back while the caller takes bytes too slowly.
 */
import type { BodySink, BodySource, ChunkOwner, Failure, FieldTable } from "../../types.ts";
import type { Answer } from "../failures.ts";
import { flushWires, type Wire } from "../wire.ts";
import { type EditedHead, writeEditedHead, writeForwardedHead, writeInterimHead } from "./answer.ts";
import { writeChunk, writeLastChunk } from "./chunk-writer.ts";
import type { Head } from "./head.ts";
import type { RequestReader } from "./request-reader.ts";
import { type BodyFraming, isBodiless, type ResponseFacts } from "./response-rules.ts";

/** The connection that the answers go out on. */
export interface AnsweredConnection {
  readonly request: RequestReader;
  /** Waiting bytes above which the sender is paused. */
  readonly bufferHighBytes: number;
  /** When draining, answers close their connections. */
  readonly draining: "yes" | "no";
  /** Bytes are moving. */
  touchSilence(): void;
  /** The answer is whole. */
  answered(): void;
  /** The answer will never be whole. */
  broken(failure: Failure): void;
  /** The other end of the tunnel sends no more. */
  tunnelEnded(): void;
}

export class CallerAnswer implements BodySink {
  /** Whether the connection serves on after this answer. */
  connection: "keep" | "close" = "keep";
  readonly #keeper: AnsweredConnection;
  #wire: Wire | null = null;
  #writtenBytes = 0;
  #framing: BodyFraming | "unsent" | "tunnel" = "unsent";
  /** The service's head, once it was copied: its place may take the answer's own head, before the body in the same bytes. */
  #spareBytes: Buffer | null = null;
  #spareStart = 0;
  #source: BodySource | null = null;
  #paused = false;

  constructor(keeper: AnsweredConnection) {
    this.#keeper = keeper;
  }

  get started(): boolean {
    return this.#framing !== "unsent";
  }

  /** Bytes given to the socket so far, for the size of an answer. */
  get writtenBytes(): number {
    return this.#wire?.writtenBytes ?? this.#writtenBytes;
  }

  /** The connection stands. */
  opened(wire: Wire): void {
    this.#wire = wire;
  }

  /** Nothing goes out any more. Returns whoever was still sending, to be told. */
  closed(): BodySource | null {
    const source = this.#source;
    this.#writtenBytes = this.writtenBytes;
    this.#wire = null;
    this.#source = null;
    return source;
  }

  /** Makes ready for the answer to the next request. */
  restart(): void {
    this.#spareBytes = null;
    this.connection = "keep";
    this.#framing = "unsent";
  }

  // ---- heads ----

  /** Passes an interim answer on; HTTP/1.0 knows none. */
  interim(head: Head): void {
    const { request } = this.#keeper;
    if (this.#wire === null || request.minor === 0 || this.started) return;
    if (head.status === 100) request.continued();
    writeInterimHead(this.#wire, head);
  }

  /** Lets a caller send its body who waits to be asked (RFC 9110 section 10.1.1). */
  sendContinue(): void {
    const { request } = this.#keeper;
    if (!request.continueAwaited || this.started) return;
    request.continued();
    this.#wire?.writeText("HTTP/1.1 100 Continue\r\n\r\n");
    flushWires();
  }

  /**
   * Begins an answer with the head that the service sent, and after its fields those of `added`, names and values. Its
   * body follows through `data` and `end`.
   */
  forwarded(head: Head, facts: ResponseFacts, added: readonly string[]): void {
    if (this.#wire === null) return;
    const framing = this.#frame(facts.framing);
    this.#spareBytes = head.bytes;
    this.#spareStart = head.start;
    writeForwardedHead(this.#wire, head, {
      added,
      framing,
      bodyBytes: facts.bodyBytes,
      connection: this.connection,
      minor: this.#keeper.request.minor,
    });
  }

  /** Begins an answer with a head that filters changed, or our own. */
  edited(edited: EditedHead, body: { framing: BodyFraming; bodyBytes: number }): void {
    if (this.#wire === null) return;
    const { request } = this.#keeper;
    const bodiless = isBodiless(edited.status);
    const isHead = request.method === "HEAD";
    const framing = this.#frame(bodiless || isHead ? "none" : body.framing);
    // HEAD hears of the body that GET would get (RFC 9110 section 9.3.2), where that is known.
    const hasLength = isHead ? body.framing === "length" : framing === "none";
    writeEditedHead(this.#wire, edited, {
      framing: hasLength && !bodiless ? "length" : framing,
      bodyBytes: body.bodyBytes,
      connection: this.connection,
      minor: request.minor,
    });
  }

  /** A whole small answer of our own. */
  whole(edited: EditedHead, body: Buffer): void {
    this.edited(edited, { framing: "length", bodyBytes: body.length });
    this.data(body, 0, body.length);
    this.end(null);
  }

  /** A whole answer in Clearway's own name; `added`: names and values of fields besides. */
  own({ status, reason, sentence }: Answer, added: readonly string[] = []): void {
    const fields = ["content-type", "text/plain; charset=utf-8", "x-clearway-reason", reason, ...added];
    const head = { status, reason: null, fields: null, removed: [], added: fields };
    this.whole(head, Buffer.from(`${reason}: ${sentence}\n`));
  }

  /** The 200 to a CONNECT: no field says anything of a body (RFC 9110 section 9.3.6). */
  established(): void {
    this.#wire?.writeText("HTTP/1.1 200 OK\r\n\r\n");
  }

  /** The head of a 101, or without one the answer to a CONNECT; from now on `data` takes the bytes of the tunnel. */
  tunnel(head: Head | null): void {
    if (this.#wire === null) return;
    if (head === null) this.established();
    else writeInterimHead(this.#wire, head);
    this.connection = "close";
    this.#framing = "tunnel";
  }

  #frame(wanted: BodyFraming): BodyFraming {
    const { request, draining } = this.#keeper;
    // A body whose end only a closed connection tells can be told better, to whoever knows how.
    let framing = wanted === "until-close" && request.minor === 1 ? "chunked" : wanted;
    if (framing === "chunked" && request.minor === 0) framing = "until-close";
    if (framing === "until-close" || draining === "yes" || !request.allowsNext) this.connection = "close";
    this.#framing = framing;
    this.#keeper.touchSilence();
    return framing;
  }

  // ---- the body ----

  /** Who to hold back when the caller takes bytes too slowly. */
  feed(source: BodySource): void {
    if (this.#wire !== null) this.#source = source;
    else source.cancel();
  }

  data(bytes: Buffer, start: number, end: number): void {
    const wire = this.#wire;
    if (wire === null || start === end || this.#framing === "none") return;
    if (this.#framing === "chunked") writeChunk(wire, bytes, start, end);
    else if (bytes === this.#spareBytes) wire.write(bytes, start, end, this.#spareStart);
    else wire.write(bytes, start, end);
    this.#spareBytes = null;
    this.#keeper.touchSilence();
    if (wire.waitingBytes > this.#keeper.bufferHighBytes && this.#source !== null) {
      this.#paused = true;
      this.#source.pause();
    }
  }

  hasSpent(bytes: Buffer, owner: ChunkOwner): boolean {
    return this.#wire?.hasSpent(bytes, owner) ?? false;
  }

  /** The caller took what waited. */
  drained(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#source?.resume();
  }

  end(trailers: FieldTable | null): void {
    const wire = this.#wire;
    if (wire === null) return;
    this.#source = null;
    this.#paused = false;
    if (this.#framing === "tunnel") {
      wire.end();
      this.#keeper.tunnelEnded();
      return;
    }
    if (this.#framing === "chunked") writeLastChunk(wire, trailers);
    this.#keeper.answered();
  }

  /** The caller must not take what it got for a whole answer. */
  fail(failure: Failure): void {
    if (this.#wire !== null) this.#keeper.broken(failure);
  }
}
