/** What Request and Response have in common: fields, and a body that can be read once. */
import { BodyTooLarge } from "./body-limits.ts";
import { decodeText, LightStream, usedError } from "./body-stream.ts";
import { headersOf, LightHeaders } from "./headers.ts";
import { NativeResponse } from "./natives.ts";
import type { MessageSource } from "./sources.ts";

/** The body of a message without making one that is not there yet: undefined while it is still the source's. */
export let bodyOf: (message: LightMessage) => LightStream | null | undefined;
/** Its Headers, or null when nobody asked for them: nothing changed then. */
export let headersIn: (message: LightMessage) => LightHeaders | null;
export let sourceIn: (message: LightMessage) => MessageSource | null;

export abstract class LightMessage {
  readonly #source: MessageSource | null;
  #headers: LightHeaders | null;
  #body: LightStream | null | undefined;

  static {
    bodyOf = (message) => message.#body;
    headersIn = (message) => message.#headers;
    sourceIn = (message) => message.#source;
  }

  constructor(
    source: MessageSource | null,
    headers: LightHeaders | null,
    body: LightStream | null | undefined,
  ) {
    this.#source = source;
    this.#headers = headers;
    this.#body = body;
  }

  get headers(): LightHeaders {
    if (this.#headers === null) {
      this.#headers = this.#source === null ? new LightHeaders() : headersOf(this.#source);
    }
    return this.#headers;
  }

  get body(): LightStream | ReadableStream<Uint8Array> | null {
    const body = this.#stream();
    return body === null ? null : body.face;
  }

  get bodyUsed(): boolean {
    const body = this.#body;
    return body?.disturbed ?? false;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer as ArrayBuffer;
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.#whole()], { type: this.#type() });
  }

  /** A copy: the bytes that are kept for sending must not change. */
  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await this.#whole());
  }

  async formData(): Promise<FormData> {
    const headers = { "content-type": this.#type() };
    return (await new NativeResponse(await this.#whole(), { headers }).formData()) as FormData;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async text(): Promise<string> {
    return decodeText(await this.#whole());
  }

  /** Bun's own: the body as a stream of strings. */
  textStream(): ReadableStream<string> {
    const body = this.#stream() ?? new LightStream("");
    if (body.disturbed || body.locked) throw usedError();
    return body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>);
  }

  /** Splits the body for `clone()`: one part stays here, the other is returned. */
  protected splitBody(): LightStream | null {
    const body = this.#stream();
    if (body === null) return null;
    const [one, other] = body.split();
    this.#body = one;
    return other;
  }

  #stream(): LightStream | null {
    if (this.#body === undefined) {
      const body = this.#source === null ? null : this.#source.body;
      this.#body = body === null ? null : new LightStream(body);
    }
    return this.#body;
  }

  /** What is said of a body that is larger than may be held. */
  protected tooLarge(error: BodyTooLarge): BodyTooLarge {
    return error;
  }

  async #whole(): Promise<Uint8Array<ArrayBuffer>> {
    const body = this.#stream();
    if (body === null) return new Uint8Array(0);
    try {
      return await body.readWhole();
    } catch (error) {
      throw error instanceof BodyTooLarge ? this.tooLarge(error) : error;
    }
  }

  #type(): string {
    return this.headers.get("content-type") ?? "";
  }
}
