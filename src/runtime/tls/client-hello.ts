/**
 * The first bytes of a connection that should be TLS: a ClientHello (RFC 8446, section 4.1.2), read as far as the name
 * in it, which says whose certificate is shown. The handshake itself is the host's, and so is the judgement of anything
 * that begins like one: it knows how to refuse.
 */

/** What a caller's first bytes are, as far as they go. */
export type Hello =
  | { readonly kind: "more" }
  /** `serverName`: in lower case; null when the caller names none. */
  | { readonly kind: "tls"; readonly serverName: string | null }
  | { readonly kind: "other" };

const MORE: Hello = { kind: "more" };
const OTHER: Hello = { kind: "other" };
const NAMELESS: Hello = { kind: "tls", serverName: null };

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEAD = 5;
/** Type and length of a handshake message. */
const MESSAGE_HEAD = 4;
const SERVER_NAME = 0;
const HOST_NAME = 0;
/** RFC 6066 section 3: a DNS name in ASCII, without a trailing dot. */
const hostName = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;
const hostNameMax = 253;

export class HelloReader {
  /** All that came. */
  bytes: Buffer = Buffer.alloc(0);
  /** Where the first record begins that is not whole. */
  #recordsEnd = 0;
  /** What the whole records carry of the message: one message may come in several records. */
  #messageBytes = 0;
  /** Of the message; 0 before its head is there. */
  #wantedBytes = 0;

  add(chunk: Buffer): Hello {
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    const { bytes } = this;
    if (bytes[0] !== HANDSHAKE || (bytes.length > 1 && bytes[1] !== 3)) return OTHER;
    while (bytes.length - this.#recordsEnd >= RECORD_HEAD) {
      const at = this.#recordsEnd;
      const length = bytes.readUInt16BE(at + 3);
      if (bytes[at] !== HANDSHAKE || length === 0) return NAMELESS;
      const end = at + RECORD_HEAD + length;
      if (bytes.length < end) break;
      this.#recordsEnd = end;
      this.#messageBytes += length;
      const whole = this.#wholeMessage();
      if (whole !== null) return whole;
    }
    return MORE;
  }

  #wholeMessage(): Hello | null {
    if (this.#messageBytes < MESSAGE_HEAD) return null;
    if (this.#wantedBytes === 0) {
      const head = this.#message();
      if (head[0] !== CLIENT_HELLO) return NAMELESS;
      this.#wantedBytes = MESSAGE_HEAD + head.readUIntBE(1, 3);
    }
    if (this.#messageBytes < this.#wantedBytes) return null;
    const message = this.#message().subarray(MESSAGE_HEAD, this.#wantedBytes);
    return { kind: "tls", serverName: serverName(message) };
  }

  /** What the whole records carry, joined: made for the message's head and for its end, not for each record. */
  #message(): Buffer {
    const pieces: Buffer[] = [];
    for (let at = 0; at < this.#recordsEnd; ) {
      const start = at + RECORD_HEAD;
      at = start + this.bytes.readUInt16BE(at + 3);
      pieces.push(this.bytes.subarray(start, at));
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}

/** Null when there is none, or none that a certificate could have: the handshake then shows the first certificate. */
function serverName(hello: Buffer): string | null {
  const fields = new Fields(hello);
  // Version and random, then session, cipher suites and compression methods.
  fields.skip(34);
  fields.skip(fields.number(1));
  fields.skip(fields.number(2));
  fields.skip(fields.number(1));
  const extensions = new Fields(fields.take(fields.number(2)));
  while (extensions.left >= 4) {
    const type = extensions.number(2);
    const data = extensions.take(extensions.number(2));
    if (type === SERVER_NAME) return hostNameIn(new Fields(data));
  }
  return null;
}

function hostNameIn(list: Fields): string | null {
  const names = new Fields(list.take(list.number(2)));
  while (names.left >= 3) {
    const type = names.number(1);
    const name = names.take(names.number(2)).toString("latin1").toLowerCase();
    if (type === HOST_NAME) return name.length <= hostNameMax && hostName.test(name) ? name : null;
  }
  return null;
}

/** Reads from the front; past the end there are only zeros and empty pieces. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: 1 | 2): number {
    const whole = this.left >= size;
    const value = whole ? this.#bytes.readUIntBE(this.#at, size) : 0;
    this.skip(size);
    return value;
  }

  take(length: number): Buffer {
    const start = this.left >= length ? this.#at : this.#bytes.length;
    const piece = this.#bytes.subarray(start, start + length);
    this.skip(length);
    return piece;
  }

  skip(length: number): void {
    this.#at = Math.min(this.#bytes.length, this.#at + length);
  }
}
