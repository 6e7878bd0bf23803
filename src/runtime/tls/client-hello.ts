/**
 * The first bytes of a connection that should be TLS: a ClientHello (RFC 8446, section 4.1.2), read as far as the name
 * in it, which says whose certificate is shown. The handshake itself is the host's, so nothing is judged here but what
 * has to be known before it begins.
 */

/** What a caller's first bytes are, as far as they go. */
export type Hello =
  | { readonly kind: "more" }
  /** `serverName`: in lower case; null when the caller names none. */
  | { readonly kind: "tls"; readonly serverName: string | null }
  | { readonly kind: "other" };

/** A ClientHello, with every record's head; real ones with post-quantum keys take some 2 KiB. */
export const helloBytesMax = 16 * 1024;

const MORE: Hello = { kind: "more" };
const OTHER: Hello = { kind: "other" };

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEAD = 5;
const SERVER_NAME = 0;
const HOST_NAME = 0;
/** RFC 6066 section 3: a DNS name in ASCII, without a trailing dot. */
const hostName = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;
const hostNameMax = 253;

export function readClientHello(bytes: Buffer): Hello {
  if (bytes.length > 0 && bytes[0] !== HANDSHAKE) return OTHER;
  if (bytes.length > 1 && bytes[1] !== 3) return OTHER;
  const message = joinRecords(bytes);
  if (message === null) return OTHER;
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return OTHER;
  if (message.length < 4 || message.length < 4 + message.readUIntBE(1, 3)) return MORE;
  return { kind: "tls", serverName: serverName(message.subarray(4, 4 + message.readUIntBE(1, 3))) };
}

/** The handshake message so far: one message may come in several records. Null when a record is of another kind. */
function joinRecords(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= RECORD_HEAD) {
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3)
      return parts.length === 0 ? null : Buffer.concat(parts);
    const end = at + RECORD_HEAD + bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + RECORD_HEAD, end));
    at = end;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
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
    const piece = this.#bytes.subarray(this.#at, this.#at + length);
    this.skip(length);
    return piece;
  }

  skip(length: number): void {
    this.#at = Math.min(this.#bytes.length, this.#at + length);
  }
}
