/** The reading half of a connection to a service: bytes in, checked heads and a body out, one answer after the other. */
import type { MessageLimits } from "../../snapshot.ts";
import type { BodySink, FieldTable } from "../../types.ts";
import { ChunkedReader } from "./chunked.ts";
import { MessageReader } from "./message-reader.ts";
import { ResponseFacts } from "./response-rules.ts";

export class ResponseReader extends MessageReader {
  readonly facts = new ResponseFacts();
  readonly #limits: MessageLimits;
  #left = 0;
  #chunks: ChunkedReader | null = null;

  constructor(limits: MessageLimits) {
    super();
    this.#limits = limits;
  }

  /** Bytes of the body to come, with framing "length". */
  get leftBytes(): number {
    return this.#left;
  }

  get trailers(): FieldTable | null {
    return this.#chunks?.trailers ?? null;
  }

  /** Whether the body is here to its end; one that ends with the connection never is. */
  get isWhole(): boolean {
    const { framing } = this.facts;
    if (framing === "none") return true;
    if (framing === "length") return this.#left === 0;
    return this.#chunks?.done ?? false;
  }

  /** Forgets the answer that was read; what came after it stays. */
  release(): void {
    this.head.release();
    this.given = null;
    this.#chunks = null;
  }

  /** Reads on in the head of an answer to `method`; after "done" head and facts hold. */
  readHead(method: string): "more" | "bad" | "done" {
    const input = this.input!;
    if (!this.scanning) this.head.begin(input, this.inputAt);
    this.scanning = true;
    const scan = this.head.scanResponse(input.length, this.#limits);
    if (scan === "more") return scan;
    this.scanning = false;
    this.problem = scan === "bad" ? this.head.problem : this.facts.read(this.head, method);
    if (this.problem !== null) return "bad";
    this.consume(this.head.end);
    this.#left = this.facts.bodyBytes;
    this.#chunks = this.facts.framing === "chunked" ? new ChunkedReader(this.#limits) : null;
    return "done";
  }

  /** Gives what is here of the body to the sink, which may end everything from inside. */
  readBody(sink: BodySink): "more" | "bad" {
    const input = this.input!;
    const start = this.inputAt;
    this.given = null;
    const chunks = this.#chunks;
    if (chunks !== null) {
      const stop = chunks.read(input, start, input.length, sink);
      this.problem = chunks.problem;
      if (this.problem !== null) return "bad";
      this.consume(stop);
      return "more";
    }
    const stop = this.facts.framing === "length" ? Math.min(input.length, start + this.#left) : input.length;
    this.#left -= stop - start;
    this.consume(stop);
    if (stop > start) sink.data(input, start, stop);
    return "more";
  }
}
