/** One body source made two, for `clone()` and `tee()`: each copy is again a source, so an untouched one still goes
 * from socket to socket. */
import type { BodySink, BodySource, Failure, FieldTable } from "../../types.ts";
import { BodyTooLarge, CLONE_LAG_BYTES_MAX } from "./body-limits.ts";
import { copied } from "./body-reading.ts";

/** The source begins when either copy does, and is paused while each copy that is read wants a pause. */
export function copiesOf(source: BodySource): [BodySource, BodySource] {
  return new Splitter(source).copies;
}

/** Why a copy that nobody has begun to read can never be sent; null for any other source. */
export function failedCopy(source: BodySource): Failure | null {
  return source instanceof Copy ? source.failure : null;
}

class Splitter implements BodySink {
  readonly copies: [Copy, Copy];
  readonly #source: BodySource;
  #begun = false;
  #ended = false;
  #paused = false;

  constructor(source: BodySource) {
    this.#source = source;
    this.copies = [new Copy(this, source.lengthBytes), new Copy(this, source.lengthBytes)];
  }

  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#source.pipe(this);
  }

  /** Called whenever a copy changed its mind about pause, or left. */
  settle(): void {
    const [one, other] = this.copies;
    if (this.#ended) return;
    if (one.left && other.left) {
      this.#ended = true;
      this.#source.cancel();
      return;
    }
    if (!this.#begun) return;
    const paused = !one.wants && !other.wants;
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) this.#source.pause();
    else this.#source.resume();
  }

  data(bytes: Buffer, start: number, end: number): void {
    // Both copies may keep the chunk and neither changes it.
    const chunk = copied(bytes, start, end);
    for (const copy of this.copies) copy.data(chunk);
  }

  end(trailers: FieldTable | null): void {
    this.#ended = true;
    for (const copy of this.copies) copy.end(trailers);
  }

  fail(failure: Failure): void {
    this.#ended = true;
    for (const copy of this.copies) copy.fail(failure);
  }
}

class Copy implements BodySource {
  readonly lengthBytes: number | null;
  /** Nobody reads this copy any more. */
  left = false;
  failure: Failure | null = null;
  readonly #splitter: Splitter;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sink: BodySink | null = null;
  #paused = false;
  #ending: ((sink: BodySink) => void) | null = null;

  constructor(splitter: Splitter, lengthBytes: number | null) {
    this.#splitter = splitter;
    this.lengthBytes = lengthBytes;
  }

  /** Whether this copy is being read and can take more. */
  get wants(): boolean {
    return this.#sink !== null && !this.#paused && !this.left;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#drain();
    this.#splitter.begin();
    this.#splitter.settle();
  }

  pause(): void {
    this.#paused = true;
    this.#splitter.settle();
  }

  resume(): void {
    this.#paused = false;
    this.#drain();
    this.#splitter.settle();
  }

  cancel(): void {
    this.#sink = null;
    this.#leave();
  }

  #leave(): void {
    this.left = true;
    this.#waiting.length = 0;
    this.#splitter.settle();
  }

  data(chunk: Buffer): void {
    if (this.left) return;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    this.#drain();
    if (this.#waitingBytes <= CLONE_LAG_BYTES_MAX) return;
    const lag = new BodyTooLarge(
      `cannot keep a cloned body: one copy is more than ${CLONE_LAG_BYTES_MAX} bytes behind the other`,
    );
    this.#leave();
    this.fail(lag);
  }

  end(trailers: FieldTable | null): void {
    this.#ending ??= (sink) => sink.end(trailers);
    this.#drain();
  }

  fail(failure: Failure): void {
    this.failure ??= failure;
    this.#ending ??= (sink) => sink.fail(failure);
    this.#drain();
  }

  /** Hands over what waits, in order, until the reader pauses. */
  #drain(): void {
    const sink = this.#sink;
    if (sink === null) return;
    while (!this.#paused) {
      const chunk = this.#waiting.shift();
      if (chunk === undefined) break;
      this.#waitingBytes -= chunk.byteLength;
      sink.data(chunk, 0, chunk.byteLength);
    }
    if (this.#waiting.length > 0 || this.#ending === null) return;
    const ending = this.#ending;
    this.#sink = null;
    ending(sink);
  }
}
