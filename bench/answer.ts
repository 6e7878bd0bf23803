/** Reads HTTP/1.1 answers from a stream of bytes and compares each with the one that is wanted. */

/** A longer head is taken as a fault. */
const headBytesMax = 64 * 1024;
const endOfHead = Buffer.from("\r\n\r\n");
const endOfLine = Buffer.from("\r\n");

export interface WantedAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** What is wrong with an answer, as the kind under which it is counted, and in words. */
export class WrongAnswer extends Error {
  constructor(
    readonly kind: "status" | "body" | "framing",
    message: string,
  ) {
    super(message);
  }
}

type State = "head" | "length" | "chunk-size" | "chunk" | "chunk-end" | "trailers";

/** One for each connection; it keeps no more than an unfinished head or line. */
export class AnswerReader {
  #state: State = "head";
  #kept: Buffer | null = null;
  /** Bytes to come of the body, or of the chunk. */
  #left = 0;
  #bodyBytes = 0;
  #connection: "keep" | "close" = "keep";
  #expected: WantedAnswer;

  /** Where there is a refusal, an answer with its status must be all that it is. */
  constructor(
    private readonly wanted: WantedAnswer,
    private readonly refusal: WantedAnswer | null = null,
  ) {
    this.#expected = wanted;
  }

  /** Whether the last answer was the refusal. */
  get refused(): boolean {
    return this.#expected === this.refusal;
  }

  /** What the last answer said of the connection. */
  get connection(): "keep" | "close" {
    return this.#connection;
  }

  /**
   * Takes what came; true when the answer is whole with it. Throws a WrongAnswer when it is not the wanted one; the
   * connection is of no use then.
   */
  take(chunk: Buffer): boolean {
    let bytes = this.#kept === null ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = null;
    for (;;) {
      const used = this.#step(bytes);
      if (used < 0) {
        if (bytes.length > headBytesMax) throw new WrongAnswer("framing", "an endless head or line");
        if (bytes.length > 0) this.#kept = bytes;
        return false;
      }
      bytes = bytes.subarray(used);
      if (this.#state !== "head") continue;
      if (bytes.length > 0) throw new WrongAnswer("framing", `${bytes.length} bytes after the answer`);
      return true;
    }
  }

  /** Reads one piece and returns its length; -1 when it is not all here. */
  #step(bytes: Buffer): number {
    switch (this.#state) {
      case "head":
        return this.#head(bytes);
      case "length":
      case "chunk":
        return this.#body(bytes);
      case "chunk-end":
        return this.#line(bytes, (line) => {
          if (line !== "") throw new WrongAnswer("framing", `"${line}" after a chunk`);
          this.#state = "chunk-size";
        });
      case "chunk-size":
        return this.#line(bytes, (line) => {
          if (!/^[0-9a-f]+(;.*)?$/i.test(line)) throw new WrongAnswer("framing", `the chunk size "${line}"`);
          this.#left = Number.parseInt(line, 16);
          this.#state = this.#left === 0 ? "trailers" : "chunk";
        });
      case "trailers":
        return this.#line(bytes, (line) => {
          if (line === "") this.#finish();
        });
    }
  }

  #line(bytes: Buffer, read: (line: string) => void): number {
    const end = bytes.indexOf(endOfLine);
    if (end < 0) return -1;
    read(bytes.toString("latin1", 0, end));
    return end + endOfLine.length;
  }

  #head(bytes: Buffer): number {
    const end = bytes.indexOf(endOfHead);
    if (end < 0) return -1;
    const [statusLine = "", ...fields] = bytes.toString("latin1", 0, end).split("\r\n");
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1];
    if (status === undefined) throw new WrongAnswer("framing", `the status line "${statusLine}"`);
    const expected = [this.wanted, this.refusal].find((each) => each?.status === Number(status));
    if (!expected) throw new WrongAnswer("status", statusLine);
    this.#expected = expected;
    const values = new Map(fields.map(splitField));
    this.#connection = values.get("connection")?.toLowerCase() === "close" ? "close" : "keep";
    this.#bodyBytes = 0;
    if (values.get("transfer-encoding") === "chunked") {
      this.#state = "chunk-size";
    } else {
      const length = values.get("content-length") ?? "";
      if (!/^\d+$/.test(length)) throw new WrongAnswer("framing", `the content-length "${length}"`);
      this.#left = Number(length);
      this.#state = "length";
      if (this.#left === 0) this.#finish();
    }
    return end + endOfHead.length;
  }

  #body(bytes: Buffer): number {
    if (bytes.length === 0) return -1;
    const length = Math.min(bytes.length, this.#left);
    const from = this.#bodyBytes;
    if (!this.#expected.body.subarray(from, from + length).equals(bytes.subarray(0, length))) {
      throw new WrongAnswer("body", `the body differs within ${length} bytes from byte ${from}`);
    }
    this.#bodyBytes += length;
    this.#left -= length;
    if (this.#left === 0) {
      if (this.#state === "chunk") this.#state = "chunk-end";
      else this.#finish();
    }
    return length;
  }

  #finish(): void {
    const { length } = this.#expected.body;
    if (this.#bodyBytes !== length) {
      throw new WrongAnswer("body", `a body of ${this.#bodyBytes} bytes, wanted ${length}`);
    }
    this.#state = "head";
  }
}

function splitField(field: string): [string, string] {
  const colon = field.indexOf(":");
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}
