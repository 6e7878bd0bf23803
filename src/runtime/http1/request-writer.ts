/** The head of a request to a service, written: the caller's bytes where nothing changed, with what a proxy adds. */
import type { Wire } from "../wire.ts";
import { Byte } from "./characters.ts";
import { FieldKind } from "./fields.ts";
import type { Head, KnownFields } from "./head.ts";
import {
  addedBytes,
  copyFields,
  kindSet,
  PER_CONNECTION,
  REQUEST_STRIPPED,
  writeAdded,
  writeText,
} from "./head-writer.ts";

export interface RequestLine {
  readonly method: string;
  /** Path and query as they are forwarded. */
  readonly target: string;
}

export interface OutgoingHead {
  /** Null: the caller's own first line goes out as it came. */
  readonly line: RequestLine | null;
  readonly fields: KnownFields;
  readonly removed: readonly number[];
  readonly added: readonly string[];
  /** Replaces Host; null keeps the caller's. */
  readonly authority: string | null;
  /** The lines of Via and the X-Forwarded fields. */
  readonly forwarded: Buffer;
  /** "kept": what the caller says under the names of the X-Forwarded fields goes on as it came. */
  readonly provenance: "replaced" | "kept";
  readonly body: RequestFraming;
  /** "forward": the caller waits for 100, and the service shall say it. */
  readonly expect: "forward" | "drop";
  /** "forward": the caller asks for another protocol on this connection. */
  readonly upgrade: "forward" | "drop";
}

/** How the body's end is told: "copied" when a Content-Length among the copied fields says it. */
export type RequestFraming =
  | { readonly kind: "none" | "chunked" | "copied" }
  | { readonly kind: "length"; readonly bytes: number };

const OWN_LINES_BYTES = 128;
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const UPGRADE = "Connection: Upgrade\r\n";

const HOST = kindSet(FieldKind.Host);
const EXPECT = kindSet(FieldKind.Expect);
const LENGTH = kindSet(FieldKind.ContentLength);
const PROVENANCE = REQUEST_STRIPPED & ~PER_CONNECTION;
const UPGRADE_FIELD = kindSet(FieldKind.Upgrade);

/** `head` gives the first line when `outgoing.line` is null. */
export function writeRequestHead(wire: Wire, head: Head, outgoing: OutgoingHead): void {
  const { line, fields, authority, forwarded, body } = outgoing;
  const fieldsBytes = fields.count === 0 ? 0 : fields.fieldsEnd - fields.offsets[0]!;
  const lineBytes = line === null ? head.fieldsStart - head.start : line.method.length + line.target.length;
  const bytesMax =
    lineBytes + fieldsBytes + addedBytes(outgoing.added) + forwarded.length + (authority?.length ?? 0);
  const out = wire.room(bytesMax + OWN_LINES_BYTES);
  let at = line === null ? copyRequestLine(out, wire.position, head) : writeLine(out, wire.position, line);
  if (authority !== null) at = writeText(out, at, `Host: ${authority}\r\n`);
  at = copyFields(out, at, { fields, stripped: strippedOf(outgoing), removed: outgoing.removed });
  at = writeAdded(out, at, outgoing.added);
  at += forwarded.copy(out, at);
  if (body.kind === "chunked") at = writeText(out, at, CHUNKED);
  else if (body.kind === "length") at = writeText(out, at, `Content-Length: ${body.bytes}\r\n`);
  if (outgoing.upgrade === "forward") at = writeText(out, at, UPGRADE);
  out[at++] = Byte.carriageReturn;
  out[at++] = Byte.lineFeed;
  wire.advance(at);
}

function strippedOf({ authority, provenance, expect, upgrade, body }: OutgoingHead): number {
  let stripped = REQUEST_STRIPPED;
  if (authority !== null) stripped |= HOST;
  if (expect === "drop") stripped |= EXPECT;
  if (body.kind === "chunked" || body.kind === "length") stripped |= LENGTH;
  if (provenance === "kept") stripped &= ~PROVENANCE;
  if (upgrade === "forward") stripped &= ~UPGRADE_FIELD;
  return stripped;
}

/** The line goes on as HTTP/1.1, whatever the caller speaks. */
function copyRequestLine(out: Buffer, position: number, head: Head): number {
  const at = position + head.bytes.copy(out, position, head.start, head.fieldsStart);
  out[at - 3] = Byte.zero + 1;
  return at;
}

function writeLine(out: Buffer, position: number, { method, target }: RequestLine): number {
  return writeText(out, position, `${method} ${target} HTTP/1.1\r\n`);
}
