/** What both reading halves share: the bytes that came and were not read yet, in one piece, and the head scanned in them. */
import type { BodySink, ChunkOwner } from "../../types.ts";
import { Head } from "./head.ts";

export abstract class MessageReader {
  readonly head = new Head();
  /** Why the last `readHead` or `readBody` said "bad". */
  problem: string | null = null;
  protected input: Buffer | null = null;
  protected inputAt = 0;
  /** The input, when it is just what the socket gave. */
  #chunk: Buffer | null = null;
  /** The chunk that was read to its end last, until the message is released. */
  protected given: Buffer | null = null;
  /** Whether the head is begun and not whole. */
  protected scanning = false;

  get hasInput(): boolean {
    return this.input !== null;
  }

  get inputBytes(): number {
    return this.input === null ? 0 : this.input.length - this.inputAt;
  }

  /** What is not read yet stays in one piece; while a head is incomplete its size is bounded by headerBytes. */
  append(chunk: Buffer): void {
    if (this.input === null) {
      this.input = chunk;
      this.#chunk = chunk;
      this.inputAt = 0;
      return;
    }
    const joined = Buffer.concat([this.input.subarray(this.inputAt), chunk]);
    if (this.scanning) this.head.moved(joined, -this.inputAt);
    this.input = joined;
    this.#chunk = null;
    this.inputAt = 0;
  }

  /**
   * The chunk that went on to the sink by the last `readBody`, when nobody reads it any more; where a part of it waits,
   * `owner` is told when that left. What was joined with more bytes is the collector's.
   */
  spentBy(sink: BodySink, owner: ChunkOwner): Buffer | null {
    const { given } = this;
    this.given = null;
    return given !== null && sink.hasSpent?.(given, owner) === true ? given : null;
  }

  dropInput(): void {
    this.input = null;
    this.#chunk = null;
    this.scanning = false;
  }

  /** Gives all input to the sink, as it is. */
  takeAll(sink: BodySink): void {
    const input = this.input!;
    const start = this.inputAt;
    this.input = null;
    this.#chunk = null;
    sink.data(input, start, input.length);
  }

  protected consume(at: number): void {
    if (this.input === null || at < this.input.length) {
      this.inputAt = at;
      return;
    }
    this.given = this.#chunk;
    this.#chunk = null;
    this.input = null;
  }
}
