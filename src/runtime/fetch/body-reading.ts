/** A body source read by a filter: whole, or as a web stream. */
import type { BodySink, BodySource, Failure } from "../../types.ts";
import { BodyTooLarge, RETAINED_BYTES_MAX, STREAM_HIGH_BYTES, STREAM_LOW_BYTES } from "./body-limits.ts";
import { NativeStream } from "./natives.ts";

/** Every byte of the body; rejects when it is larger than may be held, or fails. */
export function readWhole(source: BodySource): Promise<Uint8Array> {
  if (source.lengthBytes !== null && source.lengthBytes > RETAINED_BYTES_MAX) {
    source.cancel();
    return Promise.reject(tooLarge());
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    source.pipe({
      data(bytes, start, end) {
        size += end - start;
        if (size > RETAINED_BYTES_MAX) {
          source.cancel();
          reject(tooLarge());
        } else chunks.push(copied(bytes, start, end));
      },
      end: () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)),
      fail: reject,
    });
  });
}

/** The same for a web stream. */
export async function readStreamWhole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const chunk: unknown = value;
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(
        `cannot read a body whose stream gave ${typeof chunk}: wanted chunks of Uint8Array`,
      );
    }
    size += chunk.byteLength;
    if (size > RETAINED_BYTES_MAX) {
      const error = tooLarge();
      await reader.cancel(error);
      throw error;
    }
    chunks.push(chunk);
  }
}

function tooLarge(): BodyTooLarge {
  return new BodyTooLarge(`cannot read the body whole: wanted at most ${RETAINED_BYTES_MAX} bytes`);
}

/** The bytes of a chunk, ours to keep: its owner may use the buffer again. */
export function copied(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(bytes.subarray(start, end));
}

/** A web stream that begins the source at its first read; what waits in it is bounded by pausing the source. */
export class SourceStream implements BodySink {
  /** Whether anything was read or the stream was cancelled. */
  disturbed = false;
  readonly stream: ReadableStream<Uint8Array>;
  readonly #source: BodySource;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #ended = false;
  #failure: Failure | null = null;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** Lets the one read that waits go on. */
  #wake: (() => void) | null = null;

  constructor(source: BodySource) {
    this.#source = source;
    this.stream = new NativeStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: () => this.#cancel() },
      // Nothing is fetched ahead: so a body that nobody read is known to be whole.
      { highWaterMark: 0 },
    );
  }

  data(bytes: Buffer, start: number, end: number): void {
    if (this.#ended || start === end) return;
    this.#chunks.push(copied(bytes, start, end));
    this.#bytes += end - start;
    if (this.#bytes >= STREAM_HIGH_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
    this.#serve();
  }

  end(): void {
    this.#ended = true;
    this.#serve();
  }

  fail(failure: Failure): void {
    this.#failure = failure;
    this.#serve();
  }

  #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const begun = this.#controller !== null;
    this.disturbed = true;
    this.#controller = controller;
    const served = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!begun) this.#source.pipe(this);
    this.#serve();
    return served;
  }

  /** Answers the read that waits, if one does and there is something to say. */
  #serve(): void {
    const wake = this.#wake;
    const controller = this.#controller;
    if (wake === null || controller === null) return;
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bytes -= chunk.byteLength;
      controller.enqueue(chunk);
    } else if (this.#failure !== null) controller.error(this.#failure);
    else if (this.#ended) controller.close();
    else return;
    this.#wake = null;
    wake();
    if (this.#paused && this.#bytes < STREAM_LOW_BYTES) {
      this.#paused = false;
      this.#source.resume();
    }
  }

  #cancel(): void {
    this.disturbed = true;
    const whole = this.#ended;
    this.#ended = true;
    this.#chunks.length = 0;
    if (!whole) this.#source.cancel();
  }
}
