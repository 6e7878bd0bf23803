/**
 * The body of a lightweight message. Towards filters it is a ReadableStream: a stand-in that becomes a real one when
 * somebody reads it as a stream, or the very stream that a filter gave. Making a real one costs about 0.7 us, more
 * than half of what a chain of three filters may; the stand-in costs one small object and keeps its identity, by
 * which an untouched body is recognised.
 */
import type { BodySource } from "../../types.ts";
import { copiesOf } from "./body-copies.ts";
import { readStreamWhole, readWhole, SourceStream } from "./body-reading.ts";
import { NativeResponse, NativeStream } from "./natives.ts";
import type { OutgoingBody } from "./sources.ts";

type Chunks = ReadableStream<Uint8Array>;

/** What a body is made of before anybody read it. Text is encoded when it is needed. */
export type BodyContent = BodySource | Uint8Array | string | GivenStream;

/** A stream that a filter made; a native Response around it checks it now and watches it later. */
class GivenStream {
  readonly watch: Response;
  constructor(readonly stream: Chunks) {
    this.watch = new NativeResponse(stream);
  }
}

const encoder = new TextEncoder();

export class LightStream {
  #content: BodyContent;
  /** The real stream behind it, and what tells whether somebody read it. */
  #real: Chunks | null = null;
  #reading: SourceStream | null = null;
  /** Set once it was read whole; the bytes are kept, so that the message can still be sent. */
  #whole: "reading" | "kept" | "lost" | null = null;

  /** Throws a TypeError for a stream that is locked or was read. */
  constructor(content: BodyContent | Chunks) {
    if (content instanceof NativeStream) {
      this.#content = new GivenStream(content);
      this.#real = content;
    } else this.#content = content;
  }

  /** The body behind what a filter gives as one: itself when it is a stand-in, so that it stays the same object. */
  static over(stream: LightStream | Chunks): LightStream {
    if (!(#content in stream)) return new LightStream(stream as Chunks);
    if (stream.disturbed || stream.locked) throw usedError();
    return stream;
  }

  /** What a filter sees as `body`. */
  get face(): LightStream | Chunks {
    return this.#content instanceof GivenStream ? this.#content.stream : this;
  }

  /** Whether it was read, at least in part: `bodyUsed` of its message. */
  get disturbed(): boolean {
    if (this.#whole !== null) return true;
    if (this.#content instanceof GivenStream) return this.#content.watch.bodyUsed;
    return this.#reading?.disturbed ?? false;
  }

  get locked(): boolean {
    return this.#whole !== null || (this.#real?.locked ?? false);
  }

  /** All its bytes, also kept for sending; rejects when somebody reads it already. */
  async readWhole(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.disturbed || this.locked) throw usedError();
    this.#whole = "reading";
    try {
      const bytes = await this.#bytes();
      this.#content = bytes;
      this.#whole = "kept";
      // Never shared memory: a body comes from a socket or from the filter's own copied bytes.
      return bytes as Uint8Array<ArrayBuffer>;
    } catch (error) {
      this.#whole = "lost";
      throw error;
    }
  }

  /** Two with the same content in place of this one, which is then used up. */
  split(): [LightStream, LightStream] {
    if (this.disturbed || this.locked) throw usedError();
    const content = this.#content;
    this.#whole = "lost";
    if (content instanceof GivenStream) {
      const [one, other] = content.stream.tee();
      return [new LightStream(one), new LightStream(other)];
    }
    if (isHeld(content)) return [new LightStream(content), new LightStream(content)];
    const [one, other] = copiesOf(content);
    return [new LightStream(one), new LightStream(other)];
  }

  /** How it is sent; null when it was read, in part or by somebody else, and cannot be sent any more. */
  outgoing(): OutgoingBody | null {
    const usable = this.#whole === null ? !this.disturbed && !this.locked : this.#whole === "kept";
    if (!usable) return null;
    const content = this.#content;
    if (content instanceof GivenStream) return { kind: "stream", stream: content.stream };
    if (isHeld(content)) return { kind: "bytes", bytes: encoded(content) };
    return { kind: "source", source: content };
  }

  /** The real stream, made now if it must be. */
  real(): Chunks {
    this.#real ??= this.#makeReal();
    return this.#real;
  }

  getReader(options?: ReadableStreamGetReaderOptions): ReadableStreamReader<Uint8Array> {
    return this.real().getReader(options as never) as ReadableStreamReader<Uint8Array>;
  }

  async cancel(reason?: unknown): Promise<void> {
    if (this.#real !== null || this.#whole !== null) return this.real().cancel(reason);
    const content = this.#content;
    this.#whole = "lost";
    if (!isHeld(content) && !(content instanceof GivenStream)) content.cancel();
  }

  pipeThrough<T>(pair: ReadableWritablePair<T, Uint8Array>, options?: StreamPipeOptions): ReadableStream<T> {
    return this.real().pipeThrough(pair as never, options) as unknown as ReadableStream<T>;
  }

  async pipeTo(destination: WritableStream<Uint8Array>, options?: StreamPipeOptions): Promise<void> {
    return this.real().pipeTo(destination, options);
  }

  /** Two stand-ins: one that nobody reads costs no web stream. */
  tee(): [LightStream, LightStream] {
    return this.split();
  }

  values(options?: ReadableStreamIteratorOptions): AsyncIterableIterator<Uint8Array> {
    return this.real().values(options);
  }

  [Symbol.asyncIterator](options?: ReadableStreamIteratorOptions): AsyncIterableIterator<Uint8Array> {
    return this.values(options);
  }

  // Bun's own members of a stream.

  async bytes(): Promise<Uint8Array> {
    return this.readWhole();
  }

  async text(): Promise<string> {
    return decodeText(await this.readWhole());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.readWhole()]);
  }

  get [Symbol.toStringTag](): string {
    return "ReadableStream";
  }

  #bytes(): Promise<Uint8Array> {
    const content = this.#content;
    if (isHeld(content)) return Promise.resolve(encoded(content));
    if (content instanceof GivenStream) return readStreamWhole(content.stream);
    return readWhole(content);
  }

  #makeReal(): Chunks {
    if (this.#whole !== null) return lockedStream();
    const content = this.#content;
    if (content instanceof GivenStream) return content.stream;
    this.#reading = new SourceStream(isHeld(content) ? bytesSource(encoded(content)) : content);
    return this.#reading.stream;
  }
}

// Code that took ReadableStream earlier, and `instanceof`, find the stand-in to be one.
Object.setPrototypeOf(LightStream.prototype, NativeStream.prototype);

/** The error of the Fetch standard for reading a body twice. */
export function usedError(): TypeError {
  return new TypeError("cannot read the body: it was already read, or is being read as a stream");
}

/** UTF-8, without a byte order mark at its start. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function isHeld(content: BodyContent): content is Uint8Array | string {
  return typeof content === "string" || content instanceof Uint8Array;
}

function encoded(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? encoder.encode(content) : content;
}

/** So that a body that was read whole refuses a reader with the host's own words. */
function lockedStream(): Chunks {
  const stream = new NativeStream<Uint8Array>();
  stream.getReader();
  return stream;
}

function bytesSource(content: Uint8Array): BodySource {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  return {
    lengthBytes: bytes.byteLength,
    pipe(sink) {
      if (bytes.byteLength > 0) sink.data(bytes, 0, bytes.byteLength);
      sink.end(null);
    },
    pause() {},
    resume() {},
    cancel() {},
  };
}
