/** Heads and bodies for the tests of the lightweight pair, as the codec would give them. */
import { lightRequest } from "../../../src/runtime/fetch/request.ts";
import { lightResponse } from "../../../src/runtime/fetch/response.ts";
import type { RequestSource, ResponseSource } from "../../../src/runtime/fetch/sources.ts";
import type { BodySink, BodySource, Failure, FieldTable } from "../../../src/types.ts";

/** A table over `name: value` lines, as a codec makes it. */
export function fieldTable(lines: readonly string[]): FieldTable {
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
  const offsets: number[] = [];
  let at = 0;
  for (const line of lines) {
    const colon = line.indexOf(":");
    offsets.push(at, at + colon, at + colon + 2, at + line.length);
    at += line.length + 2;
  }
  return { bytes, offsets: Int32Array.from(offsets), count: lines.length };
}

/** A body that the test delivers by hand; `chunks` given at once are delivered as soon as they may be. */
export class ManualBody implements BodySource {
  readonly lengthBytes: number | null;
  paused = false;
  cancelled = false;
  begun = false;
  #sink: BodySink | null = null;
  readonly #waiting: (Buffer | "end")[];

  constructor(
    chunks: readonly string[] = [],
    options: { ends?: "now" | "later"; lengthBytes?: number } = {},
  ) {
    this.lengthBytes = options.lengthBytes ?? null;
    this.#waiting = chunks.map((chunk) => Buffer.from(chunk));
    if (options.ends !== "later") this.#waiting.push("end");
  }

  pipe(sink: BodySink): void {
    if (this.begun) throw new Error("a body source was piped twice");
    this.begun = true;
    this.#sink = sink;
    this.#drain();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#drain();
  }

  cancel(): void {
    this.cancelled = true;
    this.#waiting.length = 0;
  }

  send(...chunks: (string | Buffer)[]): void {
    this.#waiting.push(...chunks.map((chunk) => Buffer.from(chunk)));
    this.#drain();
  }

  end(): void {
    this.#waiting.push("end");
    this.#drain();
  }

  fail(): void {
    this.#sink?.fail(failure());
  }

  #drain(): void {
    while (this.#sink !== null && !this.paused && this.#waiting.length > 0) {
      const next = this.#waiting.shift()!;
      if (next === "end") this.#sink.end(null);
      else {
        this.#sink.data(next, 0, next.byteLength);
        // The codec uses its buffer again.
        next.fill(0x21);
      }
    }
  }
}

export function failure(): Failure {
  return Object.assign(new Error("the service closed in the middle"), {
    kind: "truncated",
    side: "upstream" as const,
    retryable: false,
  });
}

export function requestFrom(lines: readonly string[], change: Partial<RequestSource> = {}): Request {
  return lightRequest({
    method: "GET",
    url: "http://shop.example/a/b?c=d",
    fields: fieldTable(lines),
    body: null,
    signal: new AbortController().signal,
    ...change,
  });
}

export function responseFrom(lines: readonly string[], change: Partial<ResponseSource> = {}): Response {
  return lightResponse({ status: 200, reason: "OK", fields: fieldTable(lines), body: null, ...change });
}
