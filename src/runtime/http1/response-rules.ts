/** What a response's head means to a proxy (RFC 9112 section 6.3); everything ambiguous is refused. */
import { decimal, FieldKind, fieldKind, valueIs } from "./fields.ts";
import { FIELD_STRIDE, type Head } from "./head.ts";
import { connectionOptions } from "./request-rules.ts";

/** How the end of a body is found. */
export type BodyFraming = "none" | "length" | "chunked" | "until-close";

export type ResponseProblem = "bad-content-length" | "bad-transfer-encoding" | "length-and-transfer-encoding";

export class ResponseFacts {
  framing: BodyFraming = "none";
  /** With framing "length". */
  bodyBytes = 0;
  /** Whether the service keeps the connection. */
  keepAlive: "yes" | "no" = "yes";
  #contentLength = -1;
  #transferEncoding = -1;

  /** Reads a complete head, the answer to a request of `method`; null when it is right. */
  read(head: Head, method: string): ResponseProblem | null {
    this.framing = "none";
    this.bodyBytes = 0;
    this.#contentLength = -1;
    this.#transferEncoding = -1;
    this.keepAlive = head.minor === 1 ? "yes" : "no";
    return this.#classify(head) ?? this.#frame(head, method);
  }

  #classify(head: Head): ResponseProblem | null {
    const { bytes, offsets, kinds, count } = head;
    let connections = 0;
    for (let i = 0; i < count; i++) {
      const kind = fieldKind(bytes, offsets[i * FIELD_STRIDE]!, offsets[i * FIELD_STRIDE + 1]!);
      kinds[i] = kind;
      if (kind === FieldKind.ContentLength) {
        if (this.#contentLength >= 0) return "bad-content-length";
        this.#contentLength = i;
      } else if (kind === FieldKind.TransferEncoding) {
        if (this.#transferEncoding >= 0) return "bad-transfer-encoding";
        this.#transferEncoding = i;
      } else if (kind === FieldKind.Connection) connections = connections === 0 ? i + 1 : -1;
    }
    if (connections > 0 && valueIs(head, connections - 1, "keep-alive")) this.keepAlive = "yes";
    else if (connections !== 0) this.#persistence(head);
    return null;
  }

  #persistence(head: Head): void {
    const options = connectionOptions(head);
    if (options.includes("close")) this.keepAlive = "no";
    else if (options.includes("keep-alive")) this.keepAlive = "yes";
  }

  #frame(head: Head, method: string): ResponseProblem | null {
    if (this.#contentLength >= 0) {
      if (this.#transferEncoding >= 0) return "length-and-transfer-encoding";
      const place = this.#contentLength * FIELD_STRIDE;
      this.bodyBytes = decimal(head.bytes, head.offsets[place + 2]!, head.offsets[place + 3]!);
      if (this.bodyBytes < 0) return "bad-content-length";
    } else if (this.#transferEncoding >= 0) {
      if (head.minor === 0 || !valueIs(head, this.#transferEncoding, "chunked"))
        return "bad-transfer-encoding";
    }
    if (method === "HEAD" || isBodiless(head.status)) return null;
    if (this.#transferEncoding >= 0) this.framing = "chunked";
    else if (this.#contentLength >= 0) this.framing = this.bodyBytes > 0 ? "length" : "none";
    else this.framing = "until-close";
    return null;
  }
}

/** Statuses whose responses never have a body (RFC 9110 sections 15.2, 15.3.5, 15.4.5). */
export function isBodiless(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
