/** The head of an answer to a caller, written: what it says of the connection is decided here, nowhere else. */
import type { FieldTable } from "../../types.ts";
import type { Wire } from "../wire.ts";
import { FieldKind, knownFields } from "./fields.ts";
import type { Head } from "./head.ts";
import {
  addedBytes,
  copyFields,
  copyStatusLine,
  kindSet,
  RESPONSE_STRIPPED,
  writeAdded,
  writeText,
} from "./head-writer.ts";
import { REASONS } from "./reasons.ts";
import type { BodyFraming } from "./response-rules.ts";

/** How an answer's body ends on the caller's connection, and whether that lives on. */
export interface AnswerFraming {
  readonly framing: BodyFraming;
  /** With "length": written unless the copied fields say it already. */
  readonly bodyBytes: number;
  readonly connection: "keep" | "close";
  /** The caller's minor version: HTTP/1.0 has to be told that a connection is kept. */
  readonly minor: number;
}

/** An answer's head that is not, or no longer, just the service's. */
export interface EditedHead {
  readonly status: number;
  /** Null: the status's usual one. */
  readonly reason: string | null;
  readonly fields: FieldTable | null;
  readonly removed: readonly number[];
  readonly added: readonly string[];
}

const OK_LINE = "HTTP/1.1 200 OK\r\n";
const KEPT_1_0 = "connection: keep-alive\r\n";
const CLOSED = "connection: close\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";
/** More than all lines that are written besides what is copied. */
const OWN_LINES_BYTES = 256;

const WITHOUT_LENGTH = RESPONSE_STRIPPED | kindSet(FieldKind.ContentLength);

/** A head as the service sent it, without what concerns its own connection; `added`: names and values after it. */
export function writeForwardedHead(
  wire: Wire,
  head: Head,
  framing: AnswerFraming & { readonly added: readonly string[] },
): void {
  const { added } = framing;
  const out = wire.room(head.end - head.start + addedBytes(added) + OWN_LINES_BYTES);
  let at = copyStatusLine(out, wire.position, head);
  const stripped = keepsLength(framing, head.status) ? RESPONSE_STRIPPED : WITHOUT_LENGTH;
  at = copyFields(out, at, { fields: head, stripped, removed: NONE });
  at = writeAdded(out, at, added);
  wire.advance(writeText(out, at, connectionLines(framing)));
}

/** An answer to HEAD and a 304 say how long a body would be; a 204 may not (RFC 9110 section 8.6). */
function keepsLength({ framing }: AnswerFraming, status: number): boolean {
  return (framing === "length" || framing === "none") && status !== 204;
}

/** A head that filters changed or that Clearway made. */
export function writeEditedHead(wire: Wire, edited: EditedHead, framing: AnswerFraming): void {
  const fields = edited.fields === null ? null : knownFields(edited.fields);
  const copied = fields === null || fields.count === 0 ? 0 : fields.fieldsEnd - fields.offsets[0]!;
  const reason = edited.reason ?? REASONS[edited.status] ?? "";
  const out = wire.room(copied + addedBytes(edited.added) + reason.length + OWN_LINES_BYTES);
  let at = writeText(out, wire.position, statusLine(edited.status, reason));
  let lengthSaid = false;
  if (fields !== null) {
    const lengthAt = fields.kinds.indexOf(FieldKind.ContentLength);
    lengthSaid = lengthAt >= 0 && !edited.removed.includes(lengthAt);
    const stripped = keepsLength(framing, edited.status) ? RESPONSE_STRIPPED : WITHOUT_LENGTH;
    at = copyFields(out, at, { fields, stripped, removed: edited.removed });
  }
  const length =
    framing.framing === "length" && !lengthSaid ? `content-length: ${framing.bodyBytes}\r\n` : "";
  at = writeAdded(out, at, edited.added);
  if (length !== "") at = writeText(out, at, length);
  wire.advance(writeText(out, at, connectionLines(framing)));
}

function statusLine(status: number, reason: string): string {
  return status === 200 && reason === "OK" ? OK_LINE : `HTTP/1.1 ${status} ${reason}\r\n`;
}

/** An interim answer: 100, 102, 103, or the 101 that opens a tunnel. */
export function writeInterimHead(wire: Wire, head: Head): void {
  const out = wire.room(head.end - head.start + OWN_LINES_BYTES);
  let at = copyStatusLine(out, wire.position, head);
  const upgrade = head.status === 101 ? kindSet(FieldKind.Upgrade) : 0;
  at = copyFields(out, at, { fields: head, stripped: WITHOUT_LENGTH & ~upgrade, removed: NONE });
  wire.advance(writeText(out, at, upgrade === 0 ? "\r\n" : "connection: upgrade\r\n\r\n"));
}

function connectionLines({ framing, connection, minor }: AnswerFraming): string {
  const coding = framing === "chunked" ? CHUNKED : "";
  if (connection === "close") return `${coding}${CLOSED}\r\n`;
  if (minor === 0) return `${coding}${KEPT_1_0}\r\n`;
  return framing === "chunked" ? CHUNKED_END : "\r\n";
}

const CHUNKED_END = `${CHUNKED}\r\n`;
const NONE: readonly number[] = [];
