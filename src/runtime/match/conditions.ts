/** What a route asks of a request besides host and path: the method, header fields, query fields. */
import type { NamedValueMatch, RouteMatch, ValueMatch } from "../../snapshot.ts";
import type { FieldTable, RequestHead } from "../../types.ts";

/** Fields of a query after these are not looked at. */
const queryFieldsMax = 128;

/** One route's conditions, compiled. */
export class Conditions {
  private readonly methods: readonly string[];
  private readonly headers: readonly NamedTest[];
  private readonly query: readonly NamedTest[];

  constructor(match: RouteMatch) {
    this.methods = match.methods;
    this.headers = match.headers.map(compileTest);
    this.query = match.query.map(compileTest);
  }

  fit(head: RequestHead): boolean {
    if (this.methods.length > 0 && !this.methods.includes(head.method)) return false;
    for (const test of this.headers) if (!hasHeader(head.fields, test)) return false;
    for (const test of this.query) if (!hasQueryField(head.query, test)) return false;
    return true;
  }
}

/** A name (of a header: in lower case) and what the value must be, both as bytes. */
interface NamedTest {
  readonly name: Buffer;
  readonly kind: ValueMatch["kind"];
  readonly value: Buffer;
}

function compileTest({ name, match }: NamedValueMatch): NamedTest {
  const value = match.kind === "present" ? "" : match.value;
  return { name: Buffer.from(name), kind: match.kind, value: Buffer.from(value) };
}

/** Of a field that is there several times, any value will do. */
function hasHeader(fields: FieldTable, test: NamedTest): boolean {
  const { bytes, offsets, count } = fields;
  for (let index = 0; index < count; index += 1) {
    if (!isFieldNamed(fields, index, test.name)) continue;
    const start = offsets[4 * index + 2]!;
    const length = offsets[4 * index + 3]! - start;
    if (test.kind === "exact" ? length !== test.value.length : length < test.value.length) continue;
    if (hasBytes(bytes, start, test.value)) return true;
  }
  return false;
}

/** Whether field `index` has this name, given in lower case. */
export function isFieldNamed(fields: FieldTable, index: number, name: Uint8Array): boolean {
  const { bytes, offsets } = fields;
  const start = offsets[4 * index]!;
  if (offsets[4 * index + 1]! - start !== name.length) return false;
  for (let at = 0; at < name.length; at += 1) {
    const byte = bytes[start + at]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (lower !== name[at]) return false;
  }
  return true;
}

function hasBytes(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  for (let at = 0; at < wanted.length; at += 1) {
    if (bytes[start + at] !== wanted[at]) return false;
  }
  return true;
}

/** Names and values are compared decoded, "+" being a space, as services see them. */
function hasQueryField(query: string, test: NamedTest): boolean {
  let start = 0;
  for (let count = 0; start < query.length && count < queryFieldsMax; count += 1) {
    const next = query.indexOf("&", start);
    const end = next === -1 ? query.length : next;
    const equals = query.indexOf("=", start);
    const nameEnd = equals === -1 || equals > end ? end : equals;
    if (decodedLength(query, { start, end: nameEnd, wanted: test.name }) === nameEnd - start) {
      const value = { start: Math.min(nameEnd + 1, end), end, wanted: test.value };
      const length = decodedLength(query, value);
      if (test.kind === "exact" ? length === end - value.start : length !== -1) return true;
    }
    start = end + 1;
  }
  return false;
}

/** How many characters of the part's begin stand for exactly the wanted bytes; -1 when it begins otherwise. */
function decodedLength(text: string, part: { start: number; end: number; wanted: Uint8Array }): number {
  let at = part.start;
  for (const wanted of part.wanted) {
    if (at >= part.end) return -1;
    let code = text.charCodeAt(at);
    if (code === 0x2b) {
      code = 0x20;
    } else if (code === 0x25 && at + 2 < part.end) {
      const high = digitValue(text.charCodeAt(at + 1));
      const low = digitValue(text.charCodeAt(at + 2));
      // What is no escape stands for itself.
      if (high !== -1 && low !== -1) {
        code = high * 16 + low;
        at += 2;
      }
    }
    if (code !== wanted) return -1;
    at += 1;
  }
  return at - part.start;
}

function digitValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
