/**
 * What a request's head means: where its body ends, what it asks for, what may go on to a service. Everything that
 * two parties could read differently is refused (RFC 9112 sections 3, 6 and 9; RFC 9110 sections 7.2, 7.8, 10.1.1).
 */
import { Byte, HEX, HOST, isText, spells, text } from "./characters.ts";
import { allValues, decimal, FieldKind, fieldKind, fieldValue, listElements, valueIs } from "./fields.ts";
import { FIELD_STRIDE, type Head } from "./head.ts";
import type { TunnelTarget } from "./request-owner.ts";

export type RequestProblem =
  | "bad-host"
  | "missing-host"
  | "repeated-host"
  | "bad-target"
  | "bad-content-length"
  | "bad-transfer-encoding"
  | "unknown-transfer-encoding"
  | "length-and-transfer-encoding"
  | "unknown-expectation"
  | "connect-refused"
  | "bad-authority"
  | "connect-with-body";

/** The head's facts; one object serves a connection, refilled for each request. */
export class RequestFacts {
  method = "";
  authority = "";
  host = "";
  /** As received, without query. */
  rawPath = "";
  query = "";
  /** "/a?" has a query, an empty one. */
  hasQuery = false;
  form: "origin" | "absolute" | "asterisk" | "authority" = "origin";
  /** Whether CONNECT means something here; it stays for the next request. */
  connect: "refused" | "taken" = "refused";
  /** Bytes of body to come; 0 for none, -1 when it is chunked. */
  bodyBytes = 0;
  keepAlive: "yes" | "no" = "yes";
  expectsContinue: "yes" | "no" = "no";
  /** The protocol asked for by Upgrade, when it may be passed on. */
  upgrade: string | null = null;
  /** The last field of that name by index, -1 when absent. */
  via = -1;
  #connection = -1;
  #transferEncoding = -1;
  #contentLength = -1;
  #host = -1;
  #expect = -1;
  #upgrade = -1;

  /** Even a refusal is framed by the method, as soon as that is here. */
  readMethod({ bytes, start, methodEnd }: Head): void {
    this.method = isGet(bytes, start, methodEnd) ? "GET" : text(bytes, start, methodEnd);
  }

  /** Reads a complete head after `reset` and `readMethod`; null when it is right. */
  read(head: Head): RequestProblem | null {
    const problem = this.#classify(head) ?? this.#target(head) ?? this.#framing(head);
    if (problem !== null) return problem;
    this.#persistence(head);
    if (this.form === "authority") this.keepAlive = "yes";
    if (this.#expect >= 0 && head.minor === 1) {
      if (!valueIs(head, this.#expect, "100-continue")) return "unknown-expectation";
      if (this.bodyBytes !== 0) this.expectsContinue = "yes";
    }
    return null;
  }

  /** Authority and host stay: the next request mostly names the same. */
  reset(): void {
    this.method = "";
    this.bodyBytes = 0;
    this.expectsContinue = "no";
    this.upgrade = null;
    this.via = -1;
    this.#connection = -1;
    this.#transferEncoding = -1;
    this.#contentLength = -1;
    this.#host = -1;
    this.#expect = -1;
    this.#upgrade = -1;
  }

  #classify(head: Head): RequestProblem | null {
    const { bytes, offsets, kinds, count } = head;
    for (let i = 0; i < count; i++) {
      const kind = fieldKind(bytes, offsets[i * FIELD_STRIDE]!, offsets[i * FIELD_STRIDE + 1]!);
      kinds[i] = kind;
      if (kind === FieldKind.EndToEnd) continue;
      const problem = this.#note(kind, i);
      if (problem !== null) return problem;
    }
    return null;
  }

  #note(kind: FieldKind, index: number): RequestProblem | null {
    switch (kind) {
      case FieldKind.Host:
        if (this.#host >= 0) return "repeated-host";
        this.#host = index;
        return null;
      case FieldKind.ContentLength:
        // Two of them, even equal ones, are two chances to be read differently.
        if (this.#contentLength >= 0) return "bad-content-length";
        this.#contentLength = index;
        return null;
      case FieldKind.TransferEncoding:
        if (this.#transferEncoding >= 0) return "bad-transfer-encoding";
        this.#transferEncoding = index;
        return null;
      case FieldKind.Expect:
        if (this.#expect >= 0) return "unknown-expectation";
        this.#expect = index;
        return null;
      case FieldKind.Connection:
        // All of them count; the first is remembered as "there are some".
        if (this.#connection < 0) this.#connection = index;
        return null;
      case FieldKind.Upgrade:
        if (this.#upgrade < 0) this.#upgrade = index;
        return null;
      case FieldKind.Via:
        this.via = index;
        return null;
      default:
        return null;
    }
  }

  #target(head: Head): RequestProblem | null {
    const { bytes, targetStart, targetEnd } = head;
    if (this.method === "CONNECT" && this.connect === "refused") return "connect-refused";
    if (this.#host < 0 && head.minor === 1) return "missing-host";
    if (this.#host >= 0 && !this.#takeHost(head)) return "bad-host";
    if (this.#host < 0) this.authority = this.host = "";
    if (this.method === "CONNECT") return this.#authorityForm(text(bytes, targetStart, targetEnd));
    if (bytes[targetStart] === Byte.slash) {
      this.form = "origin";
      this.#splitTarget(bytes, targetStart, targetEnd);
      return null;
    }
    if (targetEnd - targetStart === 1 && bytes[targetStart] === Byte.asterisk) {
      this.rawPath = "*";
      this.query = "";
      this.hasQuery = false;
      this.form = "asterisk";
      return this.method === "OPTIONS" ? null : "bad-target";
    }
    return this.#absoluteForm(bytes, targetStart, targetEnd);
  }

  #splitTarget(bytes: Buffer, start: number, end: number): void {
    const target = text(bytes, start, end);
    const question = target.indexOf("?");
    this.rawPath = question < 0 ? target : target.slice(0, question);
    this.query = question < 0 ? "" : target.slice(question + 1);
    this.hasQuery = question >= 0;
  }

  /** The authority of an absolute target replaces Host, whatever that says (RFC 9112 section 3.2.2). */
  #absoluteForm(bytes: Buffer, start: number, end: number): RequestProblem | null {
    const colon = spells(bytes, start, start + 5, "http:") ? start + 4 : start + 5;
    if (colon === start + 5 && !spells(bytes, start, start + 6, "https:")) return "bad-target";
    if (bytes[colon + 1] !== Byte.slash || bytes[colon + 2] !== Byte.slash) return "bad-target";
    const authorityStart = colon + 3;
    let at = authorityStart;
    while (at < end && bytes[at] !== Byte.slash && bytes[at] !== Byte.question) at++;
    if (!this.#takeAuthority(text(bytes, authorityStart, at))) return "bad-host";
    this.form = "absolute";
    this.#splitTarget(bytes, at, end);
    if (this.rawPath === "") this.rawPath = this.method === "OPTIONS" && at === end ? "*" : "/";
    return null;
  }

  /** Most callers name the same host again and again: it is made into text, checked and split when it changes. */
  #takeHost({ bytes, offsets }: Head): boolean {
    const place = this.#host * FIELD_STRIDE;
    const start = offsets[place + 2]!;
    const end = offsets[place + 3]!;
    const isKnown = this.authority !== "" && isText(bytes, start, end, this.authority);
    return isKnown || this.#takeAuthority(text(bytes, start, end));
  }

  /** Where to, and nothing else: the port always, and not 0 (RFC 9110 section 9.3.6, RFC 9112 section 3.2.3). */
  #authorityForm(authority: string): RequestProblem | null {
    if (!/:0*[1-9][0-9]*$/.test(authority) || !this.#takeAuthority(authority)) return "bad-authority";
    this.form = "authority";
    this.rawPath = "*";
    this.query = "";
    this.hasQuery = false;
    return null;
  }

  /** The request came through a tunnel: its target is where that leads, whatever it says itself. */
  cameThrough({ authority, host }: TunnelTarget): void {
    if (this.host === host) return;
    this.authority = authority;
    this.host = host;
    if (this.form === "origin") this.form = "absolute";
  }

  #takeAuthority(authority: string): boolean {
    if (authority === this.authority && authority !== "") return true;
    const host = hostOf(authority);
    if (host === null) return false;
    this.authority = authority;
    this.host = host;
    return true;
  }

  #framing(head: Head): RequestProblem | null {
    if (this.#transferEncoding >= 0) {
      if (head.minor === 0) return "bad-transfer-encoding";
      if (this.#contentLength >= 0) return "length-and-transfer-encoding";
      if (!valueIs(head, this.#transferEncoding, "chunked")) {
        const codings = listElements(fieldValue(head, this.#transferEncoding));
        const last = codings.at(-1);
        return last === "chunked" && codings.indexOf("chunked") === codings.length - 1 && codings.length > 1
          ? "unknown-transfer-encoding"
          : "bad-transfer-encoding";
      }
      this.bodyBytes = -1;
    } else if (this.#contentLength >= 0) {
      const place = this.#contentLength * FIELD_STRIDE;
      this.bodyBytes = decimal(head.bytes, head.offsets[place + 2]!, head.offsets[place + 3]!);
      if (this.bodyBytes < 0) return "bad-content-length";
    }
    if (this.bodyBytes !== 0 && this.form === "authority") return "connect-with-body";
    return null;
  }

  #persistence(head: Head): void {
    this.keepAlive = head.minor === 1 ? "yes" : "no";
    if (this.#connection < 0) return;
    const options = connectionOptions(head);
    if (options.includes("close")) this.keepAlive = "no";
    else if (head.minor === 0 && options.includes("keep-alive")) this.keepAlive = "yes";
    if (this.#upgrade >= 0 && options.includes("upgrade") && head.minor === 1 && this.bodyBytes === 0) {
      // All lines of it go on or none.
      const protocols = allValues(head, FieldKind.Upgrade);
      if (!listElements(protocols).some(isHttp)) this.upgrade = protocols;
    }
  }
}

/** The options of all Connection fields; the fields that they name become hop-by-hop. */
export function connectionOptions(head: Head): string[] {
  const options: string[] = [];
  for (let i = 0; i < head.count; i++) {
    if (head.kinds[i] === FieldKind.Connection) options.push(...listElements(fieldValue(head, i)));
  }
  for (const option of options) {
    if (option === "close" || option === "keep-alive") continue;
    for (let i = 0; i < head.count; i++) {
      const place = i * FIELD_STRIDE;
      // Framing and routing stay what they are, whatever a caller nominates.
      if (head.kinds[i] !== FieldKind.EndToEnd) continue;
      if (spells(head.bytes, head.offsets[place]!, head.offsets[place + 1]!, option))
        head.kinds[i] = FieldKind.Hop;
    }
  }
  return options;
}

/** h2c would be an HTTP/2 connection that nobody here reads: not asked for, and the request goes on as it is. */
function isHttp(protocol: string): boolean {
  return /^(h2c?|http)(\/|$)/.test(protocol);
}

function isGet(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84;
}

const PORT_MAX = 65535;

/** The host of `uri-host [":" port]` in lower case; null when it is not one (RFC 9110 section 7.2). */
export function hostOf(authority: string): string | null {
  const literalEnd = authority.startsWith("[") ? authority.indexOf("]") : 0;
  if (literalEnd < 0) return null;
  const colon = authority.indexOf(":", literalEnd);
  const host = colon < 0 ? authority : authority.slice(0, colon);
  if (host === "" || !(literalEnd > 0 ? isIpLiteral(host) : isRegisteredName(host))) return null;
  if (colon >= 0) {
    const port = authority.slice(colon + 1);
    if (!/^[0-9]{0,5}$/.test(port) || Number(port) > PORT_MAX) return null;
  }
  return host.toLowerCase();
}

function isIpLiteral(host: string): boolean {
  return /^\[[0-9A-Fa-f:.]{2,45}\]$/.test(host);
}

function isRegisteredName(host: string): boolean {
  for (let i = 0; i < host.length; i++) {
    const byte = host.charCodeAt(i);
    if (byte > 127 || HOST[byte] !== 1) return false;
    if (
      byte === Byte.percent &&
      (HEX[host.charCodeAt(i + 1)] ?? 255) + (HEX[host.charCodeAt(i + 2)] ?? 255) > 30
    )
      return false;
  }
  return true;
}
