/** The reading half of a caller's connection: bytes in, a checked head and a body out, one request after the other. */
import type { BodySink, ChunkOwner, FieldTable } from "../../types.ts";
import { NOBODY } from "./body-sinks.ts";
import { Byte } from "./characters.ts";
import { ChunkedReader, type ChunkLimits } from "./chunked.ts";
import type { HeadLimits } from "./head.ts";
import { MessageReader } from "./message-reader.ts";
import { RequestFacts } from "./request-rules.ts";

/** The longest body that is read to its end although the answer did not need it. */
const DISCARDED_BYTES_MAX = 64 * 1024;
/** Line ends that a caller may send before a request line (RFC 9112 section 2.2). */
const EMPTY_LINES_MAX = 1;

export type RequestLimits = HeadLimits & ChunkLimits;

export class RequestReader extends MessageReader {
  readonly facts = new RequestFacts();
  trailers: FieldTable | null = null;
  /** Bytes of body that were read so far. */
  bodyBytesRead = 0;
  #limits: RequestLimits;
  #emptyLines = 0;
  #left = 0;
  #chunks: ChunkedReader | null = null;
  #continued = false;
  /** What the head is in, when all of it went on. */
  #spentHead: Buffer | null = null;

  constructor(limits: RequestLimits) {
    super();
    this.#limits = limits;
  }

  /** Before the first bytes of a connection's next request. */
  begin(limits: RequestLimits, connect: RequestFacts["connect"]): void {
    this.#limits = limits;
    this.facts.connect = connect;
    this.#emptyLines = 0;
    // A refusal of this head must not be framed by what the last one said.
    this.head.minor = 1;
  }

  get method(): string {
    return this.facts.method;
  }

  get minor(): number {
    return this.head.minor;
  }

  /** As in `RequestFacts`: -1 for chunked. */
  get bodyBytes(): number {
    return this.facts.bodyBytes;
  }

  get isWhole(): boolean {
    return this.#left === 0 && this.#chunks === null;
  }

  /** Whether a next request may follow: this one's end is here, or near enough to be read (RFC 9112 section 9.3). */
  get allowsNext(): boolean {
    if (this.facts.keepAlive === "no" || this.continueAwaited) return false;
    return this.isWhole || (this.bodyBytes >= 0 && this.bodyBytes <= DISCARDED_BYTES_MAX);
  }

  /** Whether the caller still waits to be asked for its body. */
  get continueAwaited(): boolean {
    return (
      this.facts.expectsContinue === "yes" && !this.#continued && this.bodyBytesRead === 0 && !this.isWhole
    );
  }

  continued(): void {
    this.#continued = true;
  }

  /**
   * As for any message; but the chunk with the head is read while the request lives. It is told by `release`, unless a part
   * of it waits to be sent: that may take longer than the request.
   */
  override spentBy(sink: BodySink, owner: ChunkOwner): Buffer | null {
    const isHead = this.given === this.head.bytes;
    const spent = super.spentBy(sink, isHead ? NOBODY : owner);
    if (isHead) this.#spentHead = spent;
    return isHead ? null : spent;
  }

  /** Forgets the request that was answered; what came after it stays. Returns a chunk that nobody reads any more. */
  release(): Buffer | null {
    // Filters read fields in it for as long as they like.
    const spent = this.head.isShared ? null : this.#spentHead;
    this.#spentHead = null;
    this.head.release();
    this.given = null;
    this.#left = 0;
    this.#chunks = null;
    this.trailers = null;
    return spent;
  }

  /** Reads on in a head; after "done" the facts hold. */
  readHead(): "more" | "bad" | "done" {
    const input = this.input!;
    if (!this.scanning) {
      // A refusal of this head must not be framed by what the last one said.
      this.facts.reset();
      if (input[this.inputAt] === Byte.carriageReturn && this.#emptyLines < EMPTY_LINES_MAX) {
        const skipped = this.#skipEmptyLine(input);
        if (skipped !== "done" || this.input === null) return skipped === "bad" ? "bad" : "more";
      }
      this.head.begin(input, this.inputAt);
      this.scanning = true;
    }
    const scan = this.head.scanRequest(input.length, this.#limits);
    this.facts.readMethod(this.head);
    if (scan === "more") return scan;
    this.scanning = false;
    this.#emptyLines = 0;
    this.#continued = false;
    this.bodyBytesRead = 0;
    this.problem = scan === "bad" ? this.head.problem : this.facts.read(this.head);
    if (this.problem !== null) return "bad";
    this.consume(this.head.end);
    this.#left = this.facts.bodyBytes > 0 ? this.facts.bodyBytes : 0;
    this.#chunks = this.facts.bodyBytes < 0 ? new ChunkedReader(this.#limits) : null;
    return "done";
  }

  #skipEmptyLine(input: Buffer): "more" | "bad" | "done" {
    if (input.length - this.inputAt < 2) return "more";
    if (input[this.inputAt + 1] !== Byte.lineFeed) {
      this.problem = "bad-request-line";
      return "bad";
    }
    this.#emptyLines++;
    this.consume(this.inputAt + 2);
    return "done";
  }

  /** Gives what is here of the body to the sink; "done" when that was its end. */
  readBody(sink: BodySink): "more" | "bad" | "done" {
    const input = this.input!;
    const start = this.inputAt;
    this.given = null;
    if (this.#chunks !== null) {
      const chunks = this.#chunks;
      const stop = chunks.read(input, start, input.length, sink);
      this.bodyBytesRead = chunks.dataBytes;
      return this.#afterChunks(stop);
    }
    const stop = Math.min(input.length, start + this.#left);
    this.#left -= stop - start;
    this.bodyBytesRead += stop - start;
    this.consume(stop);
    sink.data(input, start, stop);
    return this.#left === 0 ? "done" : "more";
  }

  #afterChunks(stop: number): "more" | "bad" | "done" {
    const chunks = this.#chunks;
    if (chunks === null) return "more";
    this.problem = chunks.problem;
    if (this.problem !== null) return "bad";
    this.consume(stop);
    if (!chunks.done) return "more";
    this.trailers = chunks.trailers;
    this.#chunks = null;
    return "done";
  }
}

/** What a connection has that waits for a request: nothing was read, and nothing is to come. */
export const NO_REQUEST = new RequestReader({
  headerBytes: 0,
  headerFields: 0,
  requestLineBytes: 0,
  trailerBytes: 0,
  chunkExtensionBytes: 0,
  messageExtensionBytes: 0,
});

/**
 * Readers between two requests, of whatever connection: only a request under way has one, so that an idle connection
 * costs little, whatever its last request was.
 */
const spareReaders: RequestReader[] = [];
const SPARE_READERS_MAX = 64;

export function takeReader(limits: RequestLimits, connect: RequestFacts["connect"]): RequestReader {
  const reader = spareReaders.pop() ?? new RequestReader(limits);
  reader.begin(limits, connect);
  return reader;
}

/** After `release`; the connection looks at it no more. */
export function giveBackReader(reader: RequestReader): void {
  if (spareReaders.length < SPARE_READERS_MAX) spareReaders.push(reader);
}
