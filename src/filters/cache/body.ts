/** The body of an answer on its way into the memory. */
import type { Filling } from "./store.ts";

/** Why it cannot be kept; `cut-off`: the service, or whoever the answer was for, left in the middle. */
export type BodyFault = "too-large" | "no-room" | "cut-off";

/** All of it, as fast as it comes: no caller holds it up. */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  { filling, bytesMax }: { readonly filling: Filling; readonly bytesMax: number },
): Promise<Uint8Array<ArrayBuffer> | BodyFault> {
  if (body === null) return new Uint8Array(0);
  const reader = body.getReader();
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return joined(pieces, size);
      size += value.byteLength;
      const fault = size > bytesMax ? "too-large" : filling.reserve(value.byteLength) ? null : "no-room";
      if (fault !== null) {
        reader.cancel().catch(() => {});
        return fault;
      }
      pieces.push(value);
    }
  } catch {
    return "cut-off";
  }
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}
