/** The body of a service's answer, in the hands of filters. */
import type { BodySink, BodySource, ChunkOwner, Failure } from "../types.ts";
import { requestOver } from "./caller-body.ts";
import { lightResponse } from "./fetch/response.ts";
import { NOWHERE } from "./http1/body-sinks.ts";
import type { Head } from "./http1/head.ts";
import { reasonOf } from "./http1/head-writer.ts";
import type { ResponseFacts } from "./http1/response-rules.ts";
import type { UpstreamConnection } from "./http1/upstream.ts";

export interface AnswerOwner {
  /** Nothing of the answer is to come. */
  answerEnded(): void;
}

/** Once it ended, its connection serves others, and nothing here reaches it any more. */
export class AnswerBody implements BodySource, BodySink {
  readonly lengthBytes: number | null;
  #upstream: UpstreamConnection | null;
  #sink: BodySink | null = null;
  readonly #headBytes: Buffer;
  readonly #owner: AnswerOwner;

  constructor(upstream: UpstreamConnection, headBytes: Buffer, owner: AnswerOwner) {
    this.#upstream = upstream;
    this.lengthBytes = upstream.lengthBytes;
    this.#headBytes = headBytes;
    this.#owner = owner;
  }

  pipe(sink: BodySink): void {
    this.#sink = sink;
    this.#upstream?.pipe(this);
  }

  pause(): void {
    this.#upstream?.pause();
  }

  resume(): void {
    this.#upstream?.resume();
  }

  cancel(): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    this.#sink = null;
    if (upstream === null) return;
    upstream.cancel();
    this.#owner.answerEnded();
  }

  /** The caller's request is over: whoever reads the body for another purpose is told that no more will come. */
  abandon(): void {
    const sink = this.#sink;
    this.cancel();
    sink?.fail(requestOver());
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#sink?.data(bytes, start, end);
  }

  /** The chunk with the head in it is kept: filters read fields in it for as long as they like. */
  hasSpent(bytes: Buffer, owner: ChunkOwner): boolean {
    return bytes !== this.#headBytes && (this.#sink?.hasSpent?.(bytes, owner) ?? false);
  }

  end(trailers: Parameters<BodySink["end"]>[0]): void {
    const sink = this.#sink;
    this.#upstream = null;
    this.#sink = null;
    this.#owner.answerEnded();
    sink?.end(trailers);
  }

  fail(failure: Failure): void {
    const sink = this.#sink;
    this.#upstream = null;
    this.#sink = null;
    this.#owner.answerEnded();
    sink?.fail(failure);
  }
}

/** The answer whose head just came, as filters get it, and its body. */
export function receivedAnswer(
  upstream: UpstreamConnection,
  { head, facts, owner }: { head: Head; facts: ResponseFacts; owner: AnswerOwner },
): { readonly response: Response; readonly body: AnswerBody | null } {
  const body = facts.framing === "none" ? null : new AnswerBody(upstream, head.bytes, owner);
  const fields = head.detached();
  const response = lightResponse({ status: head.status, reason: reasonOf(head), fields, body });
  if (body === null) {
    upstream.pipe(NOWHERE);
    owner.answerEnded();
  }
  return { response, body };
}
