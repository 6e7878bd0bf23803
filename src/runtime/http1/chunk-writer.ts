/** The chunked coding, written (RFC 9112 section 7.1): one chunk for each piece, no extensions. */
import type { FieldTable } from "../../types.ts";
import type { Wire } from "../wire.ts";
import { FIELD_STRIDE } from "./head.ts";

export function writeChunk(wire: Wire, bytes: Buffer, start: number, end: number): void {
  wire.writeText(`${(end - start).toString(16)}\r\n`);
  wire.write(bytes, start, end);
  wire.writeText("\r\n");
}

export function writeLastChunk(wire: Wire, trailers: FieldTable | null): void {
  if (trailers === null) {
    wire.writeText("0\r\n\r\n");
    return;
  }
  wire.writeText("0\r\n");
  const { bytes, offsets, count } = trailers;
  for (let i = 0; i < count; i++) {
    const place = i * FIELD_STRIDE;
    wire.write(bytes, offsets[place]!, offsets[place + 1]!);
    wire.writeText(": ");
    wire.write(bytes, offsets[place + 2]!, offsets[place + 3]!);
    wire.writeText("\r\n");
  }
  wire.writeText("\r\n");
}
