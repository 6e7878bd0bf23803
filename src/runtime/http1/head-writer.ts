/** Heads on their way out: what did not change is copied as bytes, run by run. */
import { Byte, text } from "./characters.ts";
import { FieldKind } from "./fields.ts";
import { FIELD_STRIDE, type Head, type KnownFields } from "./head.ts";

/** A set of field kinds, one bit each. */
export type KindSet = number;

export function kindSet(...kinds: readonly FieldKind[]): KindSet {
  return kinds.reduce((set, kind) => set | (1 << kind), 0);
}

export const PER_CONNECTION = kindSet(
  FieldKind.Connection,
  FieldKind.Upgrade,
  FieldKind.Hop,
  FieldKind.TransferEncoding,
  FieldKind.Internal,
);

/** Never passed on in a response. */
export const RESPONSE_STRIPPED: KindSet = PER_CONNECTION;
/** Never passed on in a request: what speaks of one connection, and what the proxy says itself. */
export const REQUEST_STRIPPED: KindSet =
  PER_CONNECTION |
  kindSet(FieldKind.ForwardedFor, FieldKind.ForwardedProto, FieldKind.ForwardedHost, FieldKind.Forwarded);

/** Copies all fields but those of the stripped kinds and those listed; returns the position after them. */
export function copyFields(
  out: Buffer,
  position: number,
  { fields, stripped, removed }: { fields: KnownFields; stripped: KindSet; removed: readonly number[] },
): number {
  const { bytes, offsets, kinds, count, fieldsEnd } = fields;
  let at = position;
  let runStart = -1;
  for (let i = 0; i < count; i++) {
    const dropped = ((stripped >> kinds[i]!) & 1) === 1 || (removed.length > 0 && removed.includes(i));
    if (!dropped) {
      if (runStart < 0) runStart = offsets[i * FIELD_STRIDE]!;
    } else if (runStart >= 0) {
      at += bytes.copy(out, at, runStart, offsets[i * FIELD_STRIDE]!);
      runStart = -1;
    }
  }
  if (runStart >= 0) at += bytes.copy(out, at, runStart, fieldsEnd);
  return at;
}

/** Writes text of one byte a character; returns the position after it. */
export function writeText(out: Buffer, position: number, latin1: string): number {
  return position + (out as LatinBuffer).latin1Write(latin1, position);
}

type LatinBuffer = Buffer & { latin1Write(latin1: string, position: number): number };

/**
 * Writes `name: value` lines from a flat list of names and values, already checked; what is the codec's to say is left
 * out. Returns the position after them. (Each piece by itself: to join them first costs as much again.)
 */
export function writeAdded(out: Buffer, position: number, added: readonly string[]): number {
  let at = position;
  for (let i = 0; i + 1 < added.length; i += 2) {
    if (isFraming(added[i]!)) continue;
    at = writeText(out, at, added[i]!);
    out[at++] = Byte.colon;
    out[at++] = Byte.space;
    at = writeText(out, at, added[i + 1]!);
    out[at++] = Byte.carriageReturn;
    out[at++] = Byte.lineFeed;
  }
  return at;
}

const FRAMING = [
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-clearway-identity",
];
const FRAMING_LENGTH_MAX = Math.max(...FRAMING.map((name) => name.length));
const FRAMING_BY_LENGTH = Array.from({ length: FRAMING_LENGTH_MAX + 1 }, (_, length) =>
  FRAMING.filter((name) => name.length === length),
);
/** What tells a letter of ASCII in lower case from the same in upper case. */
const LOWER_BIT = 0x20;

function isFraming(name: string): boolean {
  if (name.length >= FRAMING_BY_LENGTH.length) return false;
  for (const framing of FRAMING_BY_LENGTH[name.length]!) {
    const mayBe = (name.charCodeAt(0) | LOWER_BIT) === framing.charCodeAt(0);
    if (mayBe && name.toLowerCase() === framing) return true;
  }
  return false;
}

/** How many bytes `writeAdded` writes at most. */
export function addedBytes(added: readonly string[]): number {
  let bytes = 0;
  for (const part of added) bytes += part.length + 2;
  return bytes;
}

/** `HTTP/1.1 200 OK` as the service said it, whatever version it speaks. */
export function copyStatusLine(out: Buffer, position: number, head: Head): number {
  let at = position + head.bytes.copy(out, position, head.start, head.fieldsStart);
  out[position + "HTTP/1.".length] = Byte.zero + 1;
  // A line without the space after its status is mended here.
  if (head.reasonStart === head.reasonEnd) at = writeText(out, position + "HTTP/1.1 200".length, " \r\n");
  return at;
}

export function reasonOf({ bytes, reasonStart, reasonEnd }: Head): string {
  // Nearly every one.
  const isOk =
    reasonEnd - reasonStart === 2 && bytes[reasonStart] === 0x4f && bytes[reasonStart + 1] === 0x4b;
  return isOk ? "OK" : text(bytes, reasonStart, reasonEnd);
}
