/** What a route asks of a request besides host and path: the method, header fields, query fields. */
import type { NamedValueMatch, RouteMatch, ValueMatch } from "../../snapshot.ts";
import type { FieldTable, RequestHead } from "../../types.ts";
import { HEX } from "../http1/characters.ts";
import { isFieldNamed } from "../http1/fields.ts";

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

/** A name and what the value must be, as bytes (UTF-8, as in the config). */
interface NamedTest {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly kind: ValueMatch["kind"];
  readonly valueBytes: Buffer;
}

function compileTest({ name, match }: NamedValueMatch): NamedTest {
  const value = match.kind === "present" ? "" : match.value;
  return { name, nameBytes: Buffer.from(name), kind: match.kind, valueBytes: Buffer.from(value) };
}

/** Of a field that is there several times, any value will do. */
function hasHeader(fields: FieldTable, test: NamedTest): boolean {
  const { bytes, offsets, count } = fields;
  for (let index = 0; index < count; index += 1) {
    if (!isFieldNamed(fields, index, test.name)) continue;
    const start = offsets[4 * index + 2]!;
    const length = offsets[4 * index + 3]! - start;
    if (test.kind === "exact" ? length !== test.valueBytes.length : length < test.valueBytes.length) continue;
    if (hasBytes(bytes, start, test.valueBytes)) return true;
  }
  return false;
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
    if (decodedLength(query, { start, end: nameEnd, wanted: test.nameBytes }) === nameEnd - start) {
      const value = { start: Math.min(nameEnd + 1, end), end, wanted: test.valueBytes };
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
      const high = HEX[text.charCodeAt(at + 1)]!;
      const low = HEX[text.charCodeAt(at + 2)]!;
      // What is no escape stands for itself.
      if (high < 16 && low < 16) {
        code = high * 16 + low;
        at += 2;
      }
    }
    if (code !== wanted) return -1;
    at += 1;
  }
  return at - part.start;
}
