/** A web stream that some code made, as a body that a connection can send: read only as fast as it is taken. */
import type { BodySink, BodySource } from "../types.ts";
import { MessageFailure } from "./failures.ts";
import { flushWires } from "./wire.ts";

export class StreamSource implements BodySource {
  readonly lengthBytes = null;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #sink: BodySink | null = null;
  #state: "flowing" | "paused" | "reading" | "ended" = "flowing";
  #held = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#read();
  }

  pause(): void {
    this.#held = true;
  }

  resume(): void {
    this.#held = false;
    if (this.#state === "paused") this.#read();
  }

  cancel(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#reader.cancel().catch(() => {
      // Its maker's own trouble: nobody waits for it any more.
    });
  }

  #read(): void {
    if (this.#held) {
      this.#state = "paused";
      return;
    }
    this.#state = "reading";
    this.#reader.read().then(
      (piece) => this.#took(piece.done ? null : piece.value),
      (error: unknown) => this.#failed(error),
    );
  }

  #took(value: Uint8Array | null): void {
    if (this.#state === "ended") return;
    if (value === null) {
      this.#state = "ended";
      this.#sink?.end(null);
    } else if (!(value instanceof Uint8Array)) this.#failed(new TypeError("a body stream must give bytes"));
    else {
      this.#sink?.data(Buffer.from(value.buffer, value.byteOffset, value.byteLength), 0, value.byteLength);
      this.#read();
    }
    flushWires();
  }

  #failed(error: unknown): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    const why = error instanceof Error ? error.message : String(error);
    this.#sink?.fail(new MessageFailure("truncated", `a body stream failed: ${why}`, { side: "upstream" }));
    flushWires();
  }
}
