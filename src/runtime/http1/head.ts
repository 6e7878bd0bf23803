/**
 * The head of one HTTP/1.1 message, scanned once by byte into offsets (RFC 9112 sections 2 to 5).
 *
 * The scan can stop at the end of the bytes and go on when more are there, and it refuses a message at its first
 * wrong byte: no line is waited for that can no longer be right.
 */
import type { FieldTable } from "../../types.ts";
import { Byte, FIELD_VALUE, TARGET, TOKEN } from "./characters.ts";

/** Why a head cannot be read; `null` on success. The names are the stable reasons of the answers. */
export type HeadProblem =
  | "tls-on-plain-port"
  | "bad-request-line"
  | "bad-status-line"
  | "bad-version"
  | "bad-field-name"
  | "bad-field-value"
  | "bad-line-end"
  | "request-line-too-long"
  | "header-too-large"
  | "too-many-fields";

export interface HeadLimits {
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly requestLineBytes: number;
}

export type HeadState = "more" | "done" | "bad";

/** The four numbers that the table keeps for each field. */
export const FIELD_STRIDE = 4;

const enum Phase {
  Start,
  Method,
  Target,
  Version,
  Status,
  Reason,
  LineFeed,
  FieldStart,
  Name,
  ValueStart,
  Value,
  FieldLineFeed,
  LastLineFeed,
  Done,
  Bad,
}

const VERSION_BYTES = 8;
const FIELDS_AT_FIRST = 32;

/** The fields of a head with what the proxy knows of each: its `FieldKind`. */
export interface KnownFields extends FieldTable {
  readonly kinds: Uint8Array;
  /** After the line end of the last field. */
  readonly fieldsEnd: number;
}

/** One head. Reused from message to message: everything it holds is true until `begin` is called again. */
export class Head implements KnownFields {
  bytes: Buffer = EMPTY;
  offsets: Int32Array = new Int32Array(FIELDS_AT_FIRST * FIELD_STRIDE);
  kinds: Uint8Array = new Uint8Array(FIELDS_AT_FIRST);
  count = 0;
  problem: HeadProblem | null = null;
  /** First byte of the message, and the one after its empty line. */
  start = 0;
  end = 0;
  /** Requests: the method ends, the target begins and ends here. */
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** The minor version: 0 or 1. */
  minor = 1;
  /** Responses. */
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
  /** After the first line with its line end. */
  fieldsStart = 0;

  /** Whether somebody has a copy of its offsets, and so reads its bytes for as long as it likes. */
  isShared = false;

  #phase: Phase = Phase.Done;
  #at = 0;
  #mark = 0;

  /** Makes ready for a message whose first byte is bytes[start]. */
  begin(bytes: Buffer, start: number): void {
    this.#restart(bytes, start, Phase.Start);
  }

  /** The same for a trailer section: fields up to an empty line, with no first line. */
  beginFields(bytes: Buffer, start: number): void {
    this.#restart(bytes, start, Phase.FieldStart);
    this.fieldsStart = start;
  }

  #restart(bytes: Buffer, start: number, phase: Phase): void {
    this.bytes = bytes;
    this.start = start;
    this.methodEnd = start;
    this.count = 0;
    this.problem = null;
    this.isShared = false;
    this.#at = start;
    this.#mark = start;
    this.#phase = phase;
  }

  /** Gives back the memory that the last message held. */
  release(): void {
    this.bytes = EMPTY;
    this.count = 0;
    this.#phase = Phase.Done;
  }

  /** The same bytes, copied elsewhere with `shift` added to every position: nothing is scanned again. */
  moved(bytes: Buffer, shift: number): void {
    this.bytes = bytes;
    this.start += shift;
    this.methodEnd += shift;
    this.targetStart += shift;
    this.targetEnd += shift;
    this.reasonStart += shift;
    this.reasonEnd += shift;
    this.fieldsStart += shift;
    this.#at += shift;
    this.#mark += shift;
    for (let i = 0; i < (this.count + 1) * FIELD_STRIDE && i < this.offsets.length; i++) {
      this.offsets[i] = this.offsets[i]! + shift;
    }
  }

  get fieldsEnd(): number {
    return this.end - 2;
  }

  /** A copy that lives as long as somebody holds it. */
  detached(): KnownFields {
    const { bytes, count, fieldsEnd } = this;
    this.isShared = true;
    // By hand: for so few, `slice` costs three times that.
    const offsets = new Int32Array(count * FIELD_STRIDE);
    for (let i = 0; i < offsets.length; i++) offsets[i] = this.offsets[i]!;
    const kinds = new Uint8Array(count);
    for (let i = 0; i < count; i++) kinds[i] = this.kinds[i]!;
    return { bytes, offsets, kinds, count, fieldsEnd };
  }

  /** Goes on scanning a request up to bytes[end). */
  scanRequest(end: number, limits: HeadLimits): HeadState {
    if (this.#phase < Phase.LineFeed && !this.#requestLine(end, limits)) return this.#verdict(end, limits);
    return this.#fields(end, limits);
  }

  /** Goes on scanning a response up to bytes[end). */
  scanResponse(end: number, limits: HeadLimits): HeadState {
    if (this.#phase < Phase.LineFeed && !this.#statusLine(end)) return this.#verdict(end, limits);
    return this.#fields(end, limits);
  }

  /** Goes on scanning a trailer section up to bytes[end). */
  scanFields(end: number, limits: HeadLimits): HeadState {
    return this.#fields(end, limits);
  }

  #fail(problem: HeadProblem): false {
    this.problem = problem;
    this.#phase = Phase.Bad;
    return false;
  }

  #verdict(end: number, limits: HeadLimits): HeadState {
    if (this.problem !== null) return "bad";
    if (end - this.start > limits.headerBytes) {
      this.#fail("header-too-large");
      return "bad";
    }
    return "more";
  }

  /** True when the line is complete up to its carriage return. */
  #requestLine(end: number, limits: HeadLimits): boolean {
    const { bytes } = this;
    let at = this.#at;
    if (this.#phase === Phase.Start) {
      if (at >= end) return false;
      if (bytes[at] === Byte.tlsHandshake) return this.#fail("tls-on-plain-port");
      this.#phase = Phase.Method;
    }
    if (this.#phase === Phase.Method) {
      while (at < end && TOKEN[bytes[at]!] === 1) at++;
      this.#at = at;
      if (at - this.start > limits.requestLineBytes) return this.#fail("request-line-too-long");
      if (at >= end) return false;
      if (bytes[at] !== Byte.space || at === this.start) return this.#fail("bad-request-line");
      this.methodEnd = at++;
      this.targetStart = at;
      this.#phase = Phase.Target;
    }
    if (this.#phase === Phase.Target) {
      while (at < end && TARGET[bytes[at]!] === 1) at++;
      this.#at = at;
      if (at - this.start > limits.requestLineBytes) return this.#fail("request-line-too-long");
      if (at >= end) return false;
      if (bytes[at] !== Byte.space || at === this.targetStart) return this.#fail("bad-request-line");
      this.targetEnd = at++;
      this.#mark = at;
      this.#at = at;
      this.#phase = Phase.Version;
    }
    return this.#requestVersion(end, limits);
  }

  /** "HTTP/1." DIGIT CR, byte by byte. */
  #requestVersion(end: number, limits: HeadLimits): boolean {
    let at = this.#at;
    for (; at < end && at - this.#mark <= VERSION_BYTES; at++) {
      const byte = this.bytes[at]!;
      const place = at - this.#mark;
      if (place === VERSION_BYTES ? byte === Byte.carriageReturn : this.#versionByte(byte, place)) continue;
      return this.#fail(
        place >= "HTTP/".length && place < VERSION_BYTES ? "bad-version" : "bad-request-line",
      );
    }
    this.#at = at;
    const lineEnd = Math.min(at, this.#mark + VERSION_BYTES);
    if (lineEnd - this.start > limits.requestLineBytes) return this.#fail("request-line-too-long");
    if (at - this.#mark <= VERSION_BYTES) return false;
    this.#phase = Phase.LineFeed;
    return true;
  }

  #versionByte(byte: number, place: number): boolean {
    if (place < VERSION_START.length) return byte === VERSION_START.charCodeAt(place);
    this.minor = byte - Byte.zero;
    return this.minor === 0 || this.minor === 1;
  }

  #statusLine(end: number): boolean {
    const { bytes } = this;
    let at = this.#at;
    if (this.#phase === Phase.Start) {
      for (; at < end && at - this.start < STATUS_LINE_START_BYTES; at++) {
        if (!this.#statusLineByte(bytes[at]!, at - this.start)) return this.#fail("bad-status-line");
      }
      this.#at = at;
      if (at - this.start < STATUS_LINE_START_BYTES) return false;
      if (this.status < 100) return this.#fail("bad-status-line");
      this.#phase = Phase.Status;
    }
    if (this.#phase === Phase.Status) {
      if (at >= end) return false;
      // The space after the status is demanded even where the reason is empty, yet widely left out.
      if (bytes[at] === Byte.space) at++;
      else if (bytes[at] !== Byte.carriageReturn) return this.#fail("bad-status-line");
      this.reasonStart = at;
      this.#phase = Phase.Reason;
    }
    while (at < end && FIELD_VALUE[bytes[at]!] === 1) at++;
    this.#at = at;
    if (at >= end) return false;
    if (bytes[at] !== Byte.carriageReturn) return this.#fail("bad-line-end");
    this.reasonEnd = at;
    this.#at = at + 1;
    this.#phase = Phase.LineFeed;
    return true;
  }

  /** "HTTP/1." DIGIT SP 3DIGIT, byte by byte. */
  #statusLineByte(byte: number, place: number): boolean {
    if (place < VERSION_BYTES) return this.#versionByte(byte, place);
    if (place === VERSION_BYTES) {
      this.status = 0;
      return byte === Byte.space;
    }
    const digit = byte - Byte.zero;
    this.status = this.status * 10 + digit;
    return digit >= 0 && digit <= 9;
  }

  #fields(end: number, limits: HeadLimits): HeadState {
    if (this.#phase === Phase.LineFeed && this.#at < end && this.bytes[this.#at] === Byte.lineFeed) {
      this.fieldsStart = ++this.#at;
      this.#phase = Phase.FieldStart;
    }
    while (this.#at < end && this.#fieldLine(end, limits.headerFields)) {}
    return this.#outcome(end, limits);
  }

  /** One field with its line end; false when the bytes or the fields ended, or a byte is wrong. */
  #fieldLine(end: number, fieldsMax: number): boolean {
    const { bytes } = this;
    const place = this.count * FIELD_STRIDE;
    let at = this.#at;
    if (this.#phase === Phase.FieldStart) {
      if (bytes[at] === Byte.carriageReturn) {
        this.#phase = Phase.LastLineFeed;
        this.#at = at + 1;
        return true;
      }
      if (this.count >= fieldsMax) return this.#fail("too-many-fields");
      if (place >= this.offsets.length) this.#grow();
      this.offsets[place] = at;
      this.#phase = Phase.Name;
    }
    if (this.#phase === Phase.Name) {
      while (at < end && TOKEN[bytes[at]!] === 1) at++;
      this.#at = at;
      if (at >= end || bytes[at] !== Byte.colon || at === this.offsets[place]) return false;
      this.offsets[place + 1] = at++;
      this.#phase = Phase.ValueStart;
    }
    if (this.#phase === Phase.ValueStart) {
      while (at < end && (bytes[at] === Byte.space || bytes[at] === Byte.tab)) at++;
      this.#at = at;
      if (at >= end) return false;
      this.offsets[place + 2] = at;
      this.#phase = Phase.Value;
    }
    if (this.#phase === Phase.Value) {
      at = valueEnd(bytes, at, end);
      this.#at = at;
      if (at >= end || bytes[at] !== Byte.carriageReturn) return false;
      this.offsets[place + 3] = trimmedEnd(bytes, this.offsets[place + 2]!, at);
      this.count++;
      this.#at = ++at;
      this.#phase = Phase.FieldLineFeed;
    }
    return this.#lineFeed(at, end);
  }

  /** The line feed of a field, or of the empty line at the end. */
  #lineFeed(at: number, end: number): boolean {
    if (at >= end || this.bytes[at] !== Byte.lineFeed) return false;
    this.#at = at + 1;
    if (this.#phase === Phase.FieldLineFeed) {
      this.#phase = Phase.FieldStart;
      return true;
    }
    this.end = this.#at;
    this.#phase = Phase.Done;
    return false;
  }

  /** What the scan of the fields came to. */
  #outcome(end: number, limits: HeadLimits): HeadState {
    const at = this.#at;
    if (this.problem !== null) return "bad";
    if (at - this.start > limits.headerBytes) this.#fail("header-too-large");
    else if (this.#phase === Phase.Done) return "done";
    else if (at >= end) return "more";
    else if (this.#phase === Phase.Name) this.#fail("bad-field-name");
    else if (this.#phase === Phase.Value && this.bytes[at] !== Byte.lineFeed) this.#fail("bad-field-value");
    else this.#fail("bad-line-end");
    return "bad";
  }

  #grow(): void {
    const grown = new Int32Array(this.offsets.length * 2);
    grown.set(this.offsets);
    this.offsets = grown;
    this.kinds = new Uint8Array(grown.length / FIELD_STRIDE);
  }
}

const EMPTY = Buffer.alloc(0);
const VERSION_START = "HTTP/1.";
const STATUS_LINE_START_BYTES = 12;

/** The first byte that no value has. Four at a time: tokens are hundreds of bytes, and it takes half as long. */
function valueEnd(bytes: Buffer, start: number, end: number): number {
  let at = start;
  for (const stop = end - 3; at < stop; at += 4) {
    const two = FIELD_VALUE[bytes[at]!]! & FIELD_VALUE[bytes[at + 1]!]!;
    if ((two & FIELD_VALUE[bytes[at + 2]!]! & FIELD_VALUE[bytes[at + 3]!]!) === 0) break;
  }
  while (at < end && FIELD_VALUE[bytes[at]!] === 1) at++;
  return at;
}

function trimmedEnd(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && (bytes[at - 1] === Byte.space || bytes[at - 1] === Byte.tab)) at--;
  return at;
}
