/**
 * Bodies that are framed wrongly, up to the first wrong byte; nothing follows. The service has seen the head already,
 * but never an end of the request: its connection is reset. RFC 9112 section 7, RFC 9110 section 6.5.1.
 */
export interface RefusedBody {
  readonly name: string;
  /** What follows the head of a chunked request; latin1. */
  readonly body: string;
  readonly reason: string;
}

type Row = readonly [name: string, body: string, reason: string];

const rows: readonly Row[] = [
  ["size 0x5", "0x", "bad-chunk-size"],
  ["size +5", "+", "bad-chunk-size"],
  ["size -5", "-", "bad-chunk-size"],
  ["size 1_0", "1_", "bad-chunk-size"],
  ["size with a leading space", " ", "bad-chunk-size"],
  ["size with a space after it", "5 ", "bad-chunk-size"],
  ["size with a tab after it", "5\t", "bad-chunk-size"],
  ["size that is no digit", "g", "bad-chunk-size"],
  ["size that is empty", "\r", "bad-chunk-size"],
  ["size of 14 digits", "00000000000000", "bad-chunk-size"],
  ["size of 64 bits and one", "10000000000000000", "bad-chunk-size"],
  ["size ended by a bare LF", "5\n", "bad-chunk-size"],
  ["size ended by a bare CR", "5\rh", "bad-chunk-size"],
  ["last size ended by a bare LF", "0\n", "bad-chunk-size"],
  ["last size ended by CR CR", "0\r\r", "bad-chunk-size"],
  ["bare semicolon", "5;\r", "bad-chunk-extension"],
  ["space after the semicolon", "5; ", "bad-chunk-extension"],
  ["extension without a name", "5;=", "bad-chunk-extension"],
  ["extension without a value", "5;a=\r", "bad-chunk-extension"],
  ["extension with a bare LF", "5;a\n", "bad-chunk-extension"],
  ["extension value with a bare LF", "5;a=b\n", "bad-chunk-extension"],
  ["quoted extension with a LF", '5;a="b\n', "bad-chunk-extension"],
  ["quoted extension with a CR", '5;a="b\r', "bad-chunk-extension"],
  ["quoted extension with NUL", '5;a="\0', "bad-chunk-extension"],
  ["quoted pair with a LF", '5;a="\\\n', "bad-chunk-extension"],
  ["text after a quoted extension", '5;a="b"c', "bad-chunk-extension"],
  ["extension ended by a bare CR", "5;a\rh", "bad-chunk-size"],
  ["NUL in an extension", "5;a\0", "bad-chunk-extension"],
  ["data longer than its size", "5\r\nhelloX", "bad-chunk-end"],
  ["data ended by a bare LF", "5\r\nhello\n", "bad-chunk-end"],
  ["data ended by CR and no LF", "5\r\nhello\rX", "bad-chunk-end"],
  ["data ended by CR CR", "5\r\nhello\r\r", "bad-chunk-end"],
  ["second size wrong", "5\r\nhello\r\nx", "bad-chunk-size"],
  ["trailer without a colon", "0\r\nX-A\r", "bad-trailer"],
  ["trailer with a space before the colon", "0\r\nX-A ", "bad-trailer"],
  ["trailer that is folded", "0\r\nX-A: a\r\n ", "bad-trailer"],
  ["trailer with a bare LF", "0\r\nX-A: a\n", "bad-trailer"],
  ["trailer with NUL", "0\r\nX-A: \0", "bad-trailer"],
  ["trailer section ended by CR and no LF", "0\r\n\rX", "bad-trailer"],
  ["trailer section ended by a bare LF", "0\r\n\n", "bad-trailer"],
  ...[
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Host: other.example",
    "Authorization: Basic eA==",
    "Proxy-Authorization: x",
    "Cookie: a=b",
    "Connection: close",
    "Upgrade: websocket",
    "Trailer: x",
    "TE: trailers",
    "Expect: 100-continue",
    "Content-Type: text/html",
    "Content-Encoding: gzip",
    "X-Forwarded-For: 192.0.2.1",
    "Forwarded: for=192.0.2.1",
    "Via: 1.1 x",
    "X-Clearway-Reason: x",
  ].map((line) => [`trailer ${line}`, `0\r\n${line}\r\n\r\n`, "bad-trailer"] as const),
];

export const refusedBodies: readonly RefusedBody[] = rows.map(([name, body, reason]) => ({
  name,
  body,
  reason,
}));
