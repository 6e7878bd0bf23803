/** What the fields of a head mean to a proxy: each is one of a few kinds, found by length, then by name. */
import type { FieldTable } from "../../types.ts";
import { Byte, LOWER, spells, text } from "./characters.ts";
import { FIELD_STRIDE, type KnownFields } from "./head.ts";

export const enum FieldKind {
  /** Belongs to the ends; goes through as it is. */
  EndToEnd,
  Host,
  ContentLength,
  TransferEncoding,
  Connection,
  Upgrade,
  /** Means something on one connection only (RFC 9110 section 7.6.1). */
  Hop,
  Expect,
  /** X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded. */
  ForwardedFor,
  ForwardedProto,
  ForwardedHost,
  Forwarded,
  Via,
  /** x-clearway-*: said by nodes to nodes, never taken from outside. */
  Internal,
}

const INTERNAL_PREFIX = "x-clearway-";
const DASH = 0x2d;
const UNDERSCORE = 0x5f;

const KNOWN: readonly (readonly [string, FieldKind])[] = [
  ["host", FieldKind.Host],
  ["content-length", FieldKind.ContentLength],
  ["transfer-encoding", FieldKind.TransferEncoding],
  ["connection", FieldKind.Connection],
  ["upgrade", FieldKind.Upgrade],
  ["keep-alive", FieldKind.Hop],
  ["proxy-connection", FieldKind.Hop],
  ["proxy-authorization", FieldKind.Hop],
  ["proxy-authenticate", FieldKind.Hop],
  ["te", FieldKind.Hop],
  ["trailer", FieldKind.Hop],
  ["expect", FieldKind.Expect],
  ["x-forwarded-for", FieldKind.ForwardedFor],
  ["x-forwarded-proto", FieldKind.ForwardedProto],
  ["x-forwarded-host", FieldKind.ForwardedHost],
  ["forwarded", FieldKind.Forwarded],
  ["via", FieldKind.Via],
];

/** Known names by their length: one lookup refuses nearly every other name. */
const BY_LENGTH: (readonly (readonly [string, FieldKind])[])[] = Array.from({ length: 20 }, (_, length) =>
  KNOWN.filter(([name]) => name.length === length),
);

/** Programs behind CGI or WSGI take _ for -: a caller must not say with one what it may not say with the other. */
function startsWithInternal(bytes: Buffer, start: number): boolean {
  for (let i = 0; i < INTERNAL_PREFIX.length; i++) {
    const byte = LOWER[bytes[start + i]!]!;
    if ((byte === UNDERSCORE ? DASH : byte) !== INTERNAL_PREFIX.charCodeAt(i)) return false;
  }
  return true;
}

/** The kind of the field whose name is bytes[start, end). */
export function fieldKind(bytes: Buffer, start: number, end: number): FieldKind {
  const length = end - start;
  if (length < BY_LENGTH.length) {
    const known = BY_LENGTH[length]!;
    const first = LOWER[bytes[start]!]!;
    for (let i = 0; i < known.length; i++) {
      const [name, kind] = known[i]!;
      if (name.charCodeAt(0) === first && spells(bytes, start, end, name)) return kind;
    }
  }
  return length >= INTERNAL_PREFIX.length && startsWithInternal(bytes, start)
    ? FieldKind.Internal
    : FieldKind.EndToEnd;
}

/** Whether field `index` has this name, given in lower case. */
export function isFieldNamed({ bytes, offsets }: FieldTable, index: number, lower: string): boolean {
  const place = index * FIELD_STRIDE;
  return spells(bytes, offsets[place]!, offsets[place + 1]!, lower);
}

/** The values of all fields of this name, given in lower case, as one (RFC 9110 section 5.3); null when there is none. */
export function namedValue(fields: FieldTable, lower: string): string | null {
  let joined: string | null = null;
  for (let i = 0; i < fields.count; i++) {
    if (!isFieldNamed(fields, i, lower)) continue;
    // RFC 6265 section 4.2.1.
    const separator = lower === "cookie" ? "; " : ", ";
    joined = joined === null ? fieldValue(fields, i) : joined + separator + fieldValue(fields, i);
  }
  return joined;
}

/** The value of field `index` as text. */
export function fieldValue(fields: FieldTable, index: number): string {
  const place = index * FIELD_STRIDE;
  return text(fields.bytes, fields.offsets[place + 2]!, fields.offsets[place + 3]!);
}

/** The values of all fields of one kind, joined as one list (RFC 9110 section 5.3). */
export function allValues(fields: KnownFields, kind: FieldKind): string {
  const values: string[] = [];
  for (let i = 0; i < fields.count; i++) if (fields.kinds[i] === kind) values.push(fieldValue(fields, i));
  return values.join(", ");
}

/** Whether the value of field `index` is `lower`, without regard to case. */
export function valueIs(fields: FieldTable, index: number, lower: string): boolean {
  const place = index * FIELD_STRIDE;
  return spells(fields.bytes, fields.offsets[place + 2]!, fields.offsets[place + 3]!, lower);
}

/** The elements of a comma-separated list, in lower case and without the empty ones (RFC 9110 section 5.6.1). */
export function listElements(value: string): string[] {
  return value
    .toLowerCase()
    .split(",")
    .map((element) => element.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((element) => element !== "");
}

/** Reads 1*DIGIT; -1 for anything else and for what would not be exact as a number. */
export function decimal(bytes: Buffer, start: number, end: number): number {
  if (start === end || end - start > LENGTH_DIGITS_MAX) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < Byte.zero || byte > Byte.nine) return -1;
    value = value * 10 + byte - Byte.zero;
  }
  return value;
}

/** 15 digits stay below 2^53. */
const LENGTH_DIGITS_MAX = 15;

/** Fields with their kinds; those of a head know them already, whatever filters they came through. */
export function knownFields(fields: FieldTable): KnownFields {
  if ("kinds" in fields) return fields as KnownFields;
  const { bytes, offsets, count } = fields;
  const kinds = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    kinds[i] = fieldKind(bytes, offsets[i * FIELD_STRIDE]!, offsets[i * FIELD_STRIDE + 1]!);
  }
  const fieldsEnd = count === 0 ? 0 : bytes.indexOf("\n", offsets[count * FIELD_STRIDE - 1]!) + 1;
  return { bytes, offsets, count, kinds, fieldsEnd };
}
