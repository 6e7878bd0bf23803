/** What may be given as a body, made into one; the Fetch standard's "extract a body". */
import { LightStream } from "./body-stream.ts";
import type { LightHeaders } from "./headers.ts";
import { NativeResponse, NativeStream } from "./natives.ts";

export type BodyInput = LightStream | BodyInit | AsyncIterable<Uint8Array>;

/** The body; its content type is put beside it when none is given. */
export function bodyFrom(input: BodyInput, headers: LightHeaders): LightStream {
  const { body, type } = extractBody(input);
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return body;
}

interface ExtractedBody {
  readonly body: LightStream;
  /** The content type that it implies; null when it implies none. */
  readonly type: string | null;
}

function extractBody(input: BodyInput): ExtractedBody {
  if (typeof input === "string") return { body: new LightStream(input), type: "text/plain;charset=UTF-8" };
  if (input instanceof NativeStream) return { body: LightStream.over(input), type: null };
  // Bytes are copied: the filter may go on writing into its buffer.
  if (input instanceof ArrayBuffer)
    return { body: new LightStream(new Uint8Array(input.slice(0))), type: null };
  if (ArrayBuffer.isView(input)) {
    const view = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    return { body: new LightStream(new Uint8Array(view)), type: null };
  }
  if (input instanceof URLSearchParams) {
    return { body: new LightStream(String(input)), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (input instanceof Blob || input instanceof FormData) {
    const native = new NativeResponse(input);
    // Bun forgets the type once the body was asked for.
    const type = native.headers.get("content-type");
    return { body: new LightStream(native.body!), type };
  }
  if (typeof input === "object" && input !== null && Symbol.asyncIterator in input) {
    return { body: new LightStream(new NativeResponse(input as never).body!), type: null };
  }
  return extractBody(String(input));
}
