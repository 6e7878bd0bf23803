/** Byte classes of HTTP/1.1, each a table of 256 entries: 1 for a member. */

export const Byte = {
  tab: 9,
  lineFeed: 10,
  carriageReturn: 13,
  /** The first byte of a TLS connection (RFC 8446, section 5.1); no request begins with it. */
  tlsHandshake: 22,
  space: 32,
  quote: 34,
  hash: 35,
  percent: 37,
  asterisk: 42,
  comma: 44,
  slash: 47,
  zero: 48,
  nine: 57,
  colon: 58,
  semicolon: 59,
  equals: 61,
  question: 63,
  at: 64,
  backslash: 92,
  bracketOpen: 91,
  bracketClose: 93,
} as const;

function table(member: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (member(byte) ? 1 : 0));
}

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const hostCharacters = "-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** RFC 9110 section 5.6.2. */
export const TOKEN = table((byte) => tokenCharacters.includes(String.fromCharCode(byte)));

/** RFC 9110 section 5.5: visible, space, tab and obs-text; never a control. */
export const FIELD_VALUE = table((byte) => byte === Byte.tab || (byte >= Byte.space && byte !== 127));

/** What a request target may hold (RFC 9112 section 3.2): visible US-ASCII, and no fragment. */
export const TARGET = table((byte) => byte > Byte.space && byte < 127 && byte !== Byte.hash);

/** RFC 3986 section 3.2.2, reg-name and IPv4; the brackets of IPv6 are handled apart. */
export const HOST = table((byte) => hostCharacters.includes(String.fromCharCode(byte)));

/** What a quoted string may hold between its quotes, the backslash apart (RFC 9110 section 5.6.4). */
export const QUOTED = table(
  (byte) => FIELD_VALUE[byte] === 1 && byte !== Byte.quote && byte !== Byte.backslash,
);

/** The value of a hexadecimal digit, 255 for any other byte. */
export const HEX = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : 255;
});

/** A to Z become a to z, everything else itself. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 65 && byte <= 90 ? byte + 32 : byte,
);

/** Whether bytes[start, end) spell `lower` (given in lower case), without regard to case. */
export function spells(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  const length = lower.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (LOWER[bytes[start + i]!] !== lower.charCodeAt(i)) return false;
  return true;
}

/** Whether bytes[start, end) are this text, one character a byte. */
export function isText(bytes: Uint8Array, start: number, end: number, latin1: string): boolean {
  const length = latin1.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== latin1.charCodeAt(i)) return false;
  return true;
}

type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string };

/** bytes[start, end) as text, one character a byte. (`toString("latin1")` by its short way.) */
export function text(bytes: Buffer, start: number, end: number): string {
  return (bytes as Latin1Buffer).latin1Slice(start, end);
}
