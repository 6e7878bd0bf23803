/**
 * The chunked coding (RFC 9112 section 7.1), read strictly: hexadecimal digits and nothing else before the line end
 * or the extensions, exactly CRLF after size, data and last chunk. Extensions are checked, counted and dropped.
 */
import type { BodySink, FieldTable } from "../../types.ts";
import { Byte, FIELD_VALUE, HEX, QUOTED, TOKEN } from "./characters.ts";
import { FieldKind, fieldKind } from "./fields.ts";
import { FIELD_STRIDE, Head } from "./head.ts";

export interface ChunkLimits {
  readonly trailerBytes: number;
  readonly headerFields: number;
  readonly chunkExtensionBytes: number;
  readonly messageExtensionBytes: number;
}

export type ChunkProblem = "bad-chunk-size" | "bad-chunk-extension" | "bad-chunk-end" | "bad-trailer";

const enum Phase {
  SizeFirst,
  Size,
  Extension,
  ExtensionName,
  ExtensionValue,
  ExtensionToken,
  Quoted,
  QuotedPair,
  QuotedEnd,
  SizeLineFeed,
  Data,
  DataReturn,
  DataLineFeed,
  Trailer,
  Done,
  Bad,
}

/** 13 digits stay below 2^53. */
const SIZE_DIGITS_MAX = 13;

export class ChunkedReader {
  problem: ChunkProblem | null = null;
  /** Bytes of data so far, without their framing. */
  dataBytes = 0;
  /** Read once `done`; null when there are none. */
  trailers: FieldTable | null = null;
  readonly #limits: ChunkLimits;
  #phase: Phase = Phase.SizeFirst;
  #left = 0;
  #digits = 0;
  #chunkExtensionBytes = 0;
  #messageExtensionBytes = 0;
  #trailerBytes: Buffer | null = null;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#phase === Phase.Done;
  }

  /**
   * Reads bytes[start, end), gives the data in it to `sink` and returns where it stopped: `end`, or sooner when
   * the message is done or bad.
   */
  read(bytes: Buffer, start: number, end: number, sink: Pick<BodySink, "data">): number {
    let at = start;
    while (at < end && this.#phase < Phase.Done) {
      if (this.#phase === Phase.Data) {
        const stop = Math.min(end, at + this.#left);
        this.#left -= stop - at;
        if (this.#left === 0) this.#phase = Phase.DataReturn;
        this.dataBytes += stop - at;
        sink.data(bytes, at, stop);
        at = stop;
      } else if (this.#phase === Phase.Trailer) {
        at = this.#trailer(bytes, at, end);
      } else if (this.#step(bytes[at]!)) at++;
    }
    return at;
  }

  #fail(problem: ChunkProblem): false {
    this.problem = problem;
    this.#phase = Phase.Bad;
    return false;
  }

  #step(byte: number): boolean {
    switch (this.#phase) {
      case Phase.SizeFirst:
      case Phase.Size:
        return this.#size(byte);
      case Phase.SizeLineFeed:
        if (byte !== Byte.lineFeed) return this.#fail("bad-chunk-size");
        this.#phase = this.#left === 0 ? Phase.Trailer : Phase.Data;
        return true;
      case Phase.DataReturn:
        if (byte !== Byte.carriageReturn) return this.#fail("bad-chunk-end");
        this.#phase = Phase.DataLineFeed;
        return true;
      case Phase.DataLineFeed:
        if (byte !== Byte.lineFeed) return this.#fail("bad-chunk-end");
        this.#phase = Phase.SizeFirst;
        return true;
      default:
        return this.#extension(byte);
    }
  }

  #size(byte: number): boolean {
    const digit = HEX[byte]!;
    if (digit !== 255) {
      if (this.#phase === Phase.SizeFirst) {
        this.#phase = Phase.Size;
        this.#digits = 0;
        this.#left = 0;
      }
      if (++this.#digits > SIZE_DIGITS_MAX) return this.#fail("bad-chunk-size");
      this.#left = this.#left * 16 + digit;
      return true;
    }
    if (this.#phase === Phase.SizeFirst) return this.#fail("bad-chunk-size");
    this.#chunkExtensionBytes = 0;
    return this.#afterElement(byte, "bad-chunk-size");
  }

  /** What may follow the size, and each extension: a further extension, or the line end. */
  #afterElement(byte: number, problem: ChunkProblem): boolean {
    if (byte === Byte.carriageReturn) this.#phase = Phase.SizeLineFeed;
    else if (byte === Byte.semicolon) this.#phase = Phase.Extension;
    else return this.#fail(problem);
    return true;
  }

  #extension(byte: number): boolean {
    this.#messageExtensionBytes++;
    if (
      ++this.#chunkExtensionBytes > this.#limits.chunkExtensionBytes ||
      this.#messageExtensionBytes > this.#limits.messageExtensionBytes
    ) {
      return this.#fail("bad-chunk-extension");
    }
    switch (this.#phase) {
      case Phase.Extension:
        return this.#to(TOKEN[byte]!, Phase.ExtensionName);
      case Phase.ExtensionName:
        if (TOKEN[byte] === 1) return true;
        if (byte === Byte.equals) return this.#to(1, Phase.ExtensionValue);
        return this.#afterElement(byte, "bad-chunk-extension");
      case Phase.ExtensionValue:
        if (byte === Byte.quote) return this.#to(1, Phase.Quoted);
        return this.#to(TOKEN[byte]!, Phase.ExtensionToken);
      case Phase.ExtensionToken:
        return TOKEN[byte] === 1 || this.#afterElement(byte, "bad-chunk-extension");
      case Phase.Quoted:
        if (byte === Byte.quote) return this.#to(1, Phase.QuotedEnd);
        if (byte === Byte.backslash) return this.#to(1, Phase.QuotedPair);
        return this.#to(QUOTED[byte]!, Phase.Quoted);
      case Phase.QuotedPair:
        return this.#to(FIELD_VALUE[byte]!, Phase.Quoted);
      default:
        return this.#afterElement(byte, "bad-chunk-extension");
    }
  }

  #to(member: number, phase: Phase): boolean {
    if (member !== 1) return this.#fail("bad-chunk-extension");
    this.#phase = phase;
    return true;
  }

  /** The section is gathered in one piece, since its fields are offsets into it. */
  #trailer(bytes: Buffer, start: number, end: number): number {
    if (this.#trailerBytes === null && end - start >= 2 && isLineEnd(bytes, start)) {
      this.#phase = Phase.Done;
      return start + 2;
    }
    const before = this.#trailerBytes ?? NOTHING;
    const taken = Math.min(end - start, this.#limits.trailerBytes + 2 - before.length);
    const gathered = Buffer.concat([before, bytes.subarray(start, start + taken)]);
    const head = new Head();
    head.beginFields(gathered, 0);
    const { trailerBytes, headerFields } = this.#limits;
    const state = head.scanFields(gathered.length, {
      headerBytes: trailerBytes,
      headerFields,
      requestLineBytes: 0,
    });
    this.#trailerBytes = gathered;
    if (state === "more" && gathered.length < trailerBytes + 2) return end;
    if (state !== "done" || hasForbiddenTrailer(head)) {
      this.#fail("bad-trailer");
      return start;
    }
    this.trailers = head.count === 0 ? null : head;
    this.#phase = Phase.Done;
    return start + head.end - before.length;
  }
}

const NOTHING = Buffer.alloc(0);

function isLineEnd(bytes: Buffer, at: number): boolean {
  return bytes[at] === Byte.carriageReturn && bytes[at + 1] === Byte.lineFeed;
}

const FORBIDDEN = new Set([
  "authorization",
  "cookie",
  "set-cookie",
  "content-type",
  "content-encoding",
  "content-range",
]);

/** Fields for framing, routing, authentication or content have no place in trailers (RFC 9110 section 6.5.1). */
function hasForbiddenTrailer(head: Head): boolean {
  for (let i = 0; i < head.count; i++) {
    const start = head.offsets[i * FIELD_STRIDE]!;
    const end = head.offsets[i * FIELD_STRIDE + 1]!;
    if (fieldKind(head.bytes, start, end) !== FieldKind.EndToEnd) return true;
    if (FORBIDDEN.has(head.bytes.toString("latin1", start, end).toLowerCase())) return true;
  }
  return false;
}
