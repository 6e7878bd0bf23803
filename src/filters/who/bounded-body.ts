/** Every byte of a body; null, and the rest is not wanted, when there are more than `bytesMax`. */
export async function readAtMost(
  body: ReadableStream<Uint8Array> | null,
  bytesMax: number,
): Promise<Buffer<ArrayBuffer> | null> {
  if (body === null) return Buffer.alloc(0);
  const reader = body.getReader();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(pieces);
    size += value.byteLength;
    if (size > bytesMax) {
      void reader.cancel().catch(() => {});
      return null;
    }
    pieces.push(value);
  }
}
