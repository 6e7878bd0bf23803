/**
 * What the codec writes of a message that went through filters: the differences to the head that came in.
 *
 * Framing is decided here and in the codec, never by a filter: a body that leaves as it came keeps the
 * `content-length` and `transfer-encoding` it came with (so do HEAD, 204 and 304, which have none), whatever a
 * filter did to them; any other body leaves without either, and the codec frames what it is given.
 */
import type { FieldTable } from "../../types.ts";
import { MessageFailure } from "../failures.ts";
import { spells } from "../http1/characters.ts";
import { FIELD_STRIDE } from "../http1/head.ts";
import { failedCopy } from "./body-copies.ts";
import { lowerName } from "./field-names.ts";
import { editsOf, headersOf, type LightHeaders, nameAt, sourceOf } from "./headers.ts";
import { bodyOf, headersIn, type LightMessage, sourceIn } from "./message.ts";
import { isLightRequest } from "./request.ts";
import { bodilessOf, isLightResponse, type LightResponse, reasonOf } from "./response.ts";
import type {
  FieldEdits,
  MessageSource,
  OutgoingBody,
  OutgoingRequest,
  OutgoingResponse,
  RequestSource,
} from "./sources.ts";

const FRAMING = ["content-length", "transfer-encoding"];
const FRAMING_LENGTHS = FRAMING.map((name) => name.length);
const none: OutgoingBody = { kind: "none" };
const noIndices: readonly number[] = [];
const noPairs: readonly string[] = [];

/** Throws when a filter read the body as a stream and put nothing in its place. */
export function outgoingResponse(response: Response): OutgoingResponse {
  if (isLightResponse(response)) {
    const source = fieldSource(response);
    const body = responseBody(response);
    const edits = changedFields(response) ?? untouched(source);
    return {
      status: response.status,
      reason: reasonOf(response),
      fields: framed(edits, fateOf(body, source)),
      body,
    };
  }
  return {
    status: response.status,
    reason: response.statusText === "" ? null : response.statusText,
    fields: framed({ source: null, removed: noIndices, added: [...response.headers].flat() }, "other"),
    body: nativeBody(response),
  };
}

/** `original` is the request that entered the filters; throws like `outgoingResponse`. */
export function outgoingRequest(request: Request, original: Request): OutgoingRequest {
  const came = isLightRequest(original) ? (sourceIn(original) as RequestSource | null) : null;
  const body = isLightRequest(request) ? messageBody(request) : nativeBody(request);
  const edits = framed(requestEdits(request, came), fateOf(body, came));
  return {
    method: request.method,
    url: request === original || isSameUrl(request.url, original.url) ? null : request.url,
    fields: withHost(edits),
    body,
  };
}

function requestEdits(request: Request, came: RequestSource | null): FieldEdits {
  if (!isLightRequest(request)) return differences(request.headers, came);
  const source = fieldSource(request);
  if (source !== came) return differences(request.headers, came);
  return changedFields(request) ?? untouched(source);
}

/** Where the fields of a message came from, also when another message had them first. */
function fieldSource(message: LightMessage): MessageSource | null {
  const headers = headersIn(message);
  return headers === null ? sourceIn(message) : sourceOf(headers);
}

function changedFields(message: LightMessage): FieldEdits | null {
  const headers = headersIn(message);
  return headers === null ? null : editsOf(headers);
}

function untouched(source: MessageSource | null): FieldEdits {
  return { source: source === null ? null : source.fields, removed: noIndices, added: noPairs };
}

/** What differs between fields that some code made anew and those that came in: repeats and order count as one value. */
function differences(headers: Headers | LightHeaders, came: MessageSource | null): FieldEdits {
  if (came === null) return { source: null, removed: noIndices, added: [...headers].flat() };
  const before = headersOf(came);
  const table = came.fields;
  const removed: number[] = [];
  for (let i = 0; i < table.count; i++) {
    const name = nameAt(table, i);
    if (headers.get(name) !== before.get(name)) removed.push(i);
  }
  const added: string[] = [];
  for (const [name, value] of headers) if (headers.get(name) !== before.get(name)) added.push(name, value);
  return { source: table, removed, added };
}

function framed(edits: FieldEdits, fate: BodyFate): FieldEdits {
  const { source, removed, added } = edits;
  if (fate === "same" && removed.length === 0 && added.length === 0) return edits;
  const rule = fate === "same" ? withoutFraming : withFraming;
  const left = source === null ? removed : rule(removed, source);
  const pairs = withoutFramingPairs(added);
  return left === removed && pairs === added ? edits : { source, removed: left, added: pairs };
}

// A function with another one in it makes a scope whenever it is called: what is asked of every message has none.

function withoutFraming(removed: readonly number[], table: FieldTable): readonly number[] {
  for (const i of removed) if (isFramingAt(table, i)) return indicesWithoutFraming(removed, table);
  return removed;
}

function indicesWithoutFraming(removed: readonly number[], table: FieldTable): readonly number[] {
  return removed.filter((i) => !isFramingAt(table, i));
}

function withFraming(removed: readonly number[], table: FieldTable): readonly number[] {
  const all = removed.slice();
  for (let i = 0; i < table.count; i++) if (isFramingAt(table, i) && !all.includes(i)) all.push(i);
  return all;
}

function withoutFramingPairs(added: readonly string[]): readonly string[] {
  for (let i = 0; i < added.length; i += 2) if (isFraming(added[i]!)) return allowedPairs(added);
  return added;
}

function allowedPairs(added: readonly string[]): readonly string[] {
  return added.filter((_, i) => !isFraming(added[i - (i % 2)]!));
}

function isFraming(name: string): boolean {
  return FRAMING_LENGTHS.includes(name.length) && FRAMING.includes(lowerName(name));
}

function isFramingAt(table: FieldTable, index: number): boolean {
  for (const name of FRAMING) if (isNamed(table, index, name)) return true;
  return false;
}

function isNamed(table: FieldTable, index: number, lower: string): boolean {
  const at = index * FIELD_STRIDE;
  return spells(table.bytes, table.offsets[at]!, table.offsets[at + 1]!, lower);
}

/** A request made anew has no Host, and HTTP/1.1 needs one: the one that came stays unless another replaces it. */
function withHost(edits: FieldEdits): FieldEdits {
  return edits.removed.length === 0 ? edits : withOldHost(edits);
}

function withOldHost(edits: FieldEdits): FieldEdits {
  const { source, removed, added } = edits;
  if (source === null || !removed.some((i) => isNamed(source, i, "host"))) return edits;
  for (let i = 0; i < added.length; i += 2) if (lowerName(added[i]!) === "host") return edits;
  return { source, removed: removed.filter((i) => !isNamed(source, i, "host")), added };
}

/** A request made from the url of the original has it as the URL class writes it. */
function isSameUrl(url: string, original: string): boolean {
  return url === original || (URL.canParse(original) && url === new URL(original).href);
}

/** Whether the body that leaves is the very one that came. */
type BodyFate = "same" | "other";

function fateOf(body: OutgoingBody, source: MessageSource | null): BodyFate {
  if (source === null) return "other";
  const same =
    body.kind === "none" ? source.body === null : body.kind === "source" && body.source === source.body;
  return same ? "same" : "other";
}

function messageBody(message: LightMessage): OutgoingBody {
  const body = bodyOf(message);
  if (body === undefined) {
    const source = sourceIn(message);
    return source === null || source.body === null ? none : { kind: "source", source: source.body };
  }
  if (body === null) return none;
  const outgoing = body.outgoing();
  if (outgoing === null) throw notPutBack();
  const failure = outgoing.kind === "source" ? failedCopy(outgoing.source) : null;
  if (failure !== null) throw unsendable(failure.message);
  return outgoing;
}

function responseBody(response: LightResponse): OutgoingBody {
  const body = messageBody(response);
  const whole = bodilessOf(response);
  if (body.kind !== "none" || whole === null) return body;
  const dropped = bodyOf(whole)?.outgoing();
  return dropped?.kind === "bytes" ? { kind: "none", droppedBytes: dropped.bytes.length } : none;
}

function nativeBody(message: Request | Response): OutgoingBody {
  if (message.bodyUsed) throw notPutBack();
  return message.body === null
    ? none
    : { kind: "stream", stream: message.body as ReadableStream<Uint8Array> };
}

function notPutBack(): MessageFailure {
  return unsendable("its body was read by a filter and not put back");
}

function unsendable(reason: string): MessageFailure {
  return new MessageFailure("filter-error", `cannot send the message: ${reason}`, { side: "downstream" });
}
