/** One JSON value a line, as they come. */
import { CoordinatorFault } from "./coordinator-fault.ts";

/** A line with the code of plugins in it is the longest. */
export const lineBytesMax = 32 * 1024 * 1024;
const newline = 10;

/** `broken` says what it means that the body ended in an error. */
export async function* readLines<Value>(
  { body }: Pick<Response, "body">,
  broken: (error: unknown) => Error,
): AsyncGenerator<Value> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const chunks = (body ?? new ReadableStream<Uint8Array>())[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      throw broken(error);
    });
    if (next.done === true) return;
    let rest: Uint8Array = next.value;
    for (let end = rest.indexOf(newline); end !== -1; end = rest.indexOf(newline)) {
      yield parsed<Value>([...parts, rest.subarray(0, end)]);
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
    }
    bytes += rest.length;
    if (bytes > lineBytesMax) {
      throw new CoordinatorFault(
        "unknown",
        `a line of the feed has more than ${lineBytesMax} bytes`,
        "later",
      );
    }
    if (rest.length > 0) parts.push(rest);
  }
}

function parsed<Value>(parts: readonly Uint8Array[]): Value {
  const text = Buffer.concat(parts).toString();
  try {
    return JSON.parse(text) as Value;
  } catch {
    throw new CoordinatorFault("unknown", `a line of the feed is no JSON: ${text.slice(0, 80)}`, "later");
  }
}
