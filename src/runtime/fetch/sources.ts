/** What the codec gives to a lightweight message, and what it takes back when the message leaves. Types only. */
import type { BodySource, FieldTable } from "../../types.ts";

/** The table must stay as it is until the message has left: it is read when a filter asks, not before. */
export interface MessageSource {
  readonly fields: FieldTable;
  readonly body: BodySource | null;
}

/** `url` and `signal` may be getters: they are read only when a filter asks for them. */
export interface RequestSource extends MessageSource {
  readonly method: string;
  readonly url: string;
  readonly signal: AbortSignal;
}

export interface ResponseSource extends MessageSource {
  readonly status: number;
  readonly reason: string;
}

/** How the fields of a message that leaves differ from the table that they came in. */
export interface FieldEdits {
  /** Null when no field came from the wire. */
  readonly source: FieldTable | null;
  /** Indices of source fields not to copy. */
  readonly removed: readonly number[];
  /** name, value, name, value …, after the copied ones; the name's case as the filter wrote it, values latin1. */
  readonly added: readonly string[];
}

export type OutgoingBody =
  /** `droppedBytes`: how long the body was that Hono left out, which answers HEAD so; not told where it is not known. */
  | { readonly kind: "none"; readonly droppedBytes?: number }
  /** No filter touched it: it goes from socket to socket. */
  | { readonly kind: "source"; readonly source: BodySource }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array> };

export interface OutgoingRequest {
  readonly method: string;
  /** Null when it is the one that came in. */
  readonly url: string | null;
  readonly fields: FieldEdits;
  readonly body: OutgoingBody;
}

export interface OutgoingResponse {
  readonly status: number;
  /** Null when a filter made the answer and gave no text. */
  readonly reason: string | null;
  readonly fields: FieldEdits;
  readonly body: OutgoingBody;
}
