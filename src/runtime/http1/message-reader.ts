/** What both reading halves share: the bytes that came and were not read yet, in one piece, and the head scanned in them. */
import type { BodySink, ChunkOwner } from "../../types.ts";
import { Head } from "./head.ts";

export abstract class MessageReader {
  readonly head = new Head();
  /** Why the last `readHead` or `readBody` said "bad". */
  problem: string | null = null;
  protected input: Buffer | null = null;
  protected inputAt = 0;
  /** What the last `readBody` gave, when that was all there is. */
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
      this.inputAt = 0;
      return;
    }
    const joined = Buffer.concat([this.input.subarray(this.inputAt), chunk]);
    if (this.scanning) this.head.moved(joined, -this.inputAt);
    this.input = joined;
    this.inputAt = 0;
  }

  /**
   * Whether `chunk`, which came last, went on to the sink by the last `readBody`, and nobody reads it any more; where a
   * part of it waits, `owner` is told when that left. What was joined with more bytes is the collector's.
   */
  spentBy(sink: BodySink, chunk: Buffer | null, owner: ChunkOwner): boolean {
    const { given } = this;
    this.given = null;
    return given !== null && given === chunk && (sink.hasSpent?.(given, owner) ?? false);
  }

  dropInput(): void {
    this.input = null;
    this.scanning = false;
  }

  /** Gives all input to the sink, as it is. */
  takeAll(sink: BodySink): void {
    const input = this.input!;
    const start = this.inputAt;
    this.input = null;
    sink.data(input, start, input.length);
  }

  protected consume(at: number): void {
    if (this.input !== null && at >= this.input.length) this.input = null;
    else this.inputAt = at;
  }
}
