/** Bytes of a service that are no answer: the caller gets 502, or - after the head - an answer that never ends well. */
export interface MalformedAnswer {
  readonly name: string;
  /** Up to the first wrong byte; latin1. */
  readonly bytes: string;
}

const ok = "HTTP/1.1 200 OK\r\n";
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

function rows(table: Readonly<Record<string, string>>): readonly MalformedAnswer[] {
  return Object.entries(table).map(([name, bytes]) => ({ name, bytes }));
}

/** Refused before a byte went to the caller. */
export const malformedHeads = rows({
  "not HTTP": "SSH-2.0",
  "HTTP/2": "HTTP/2",
  "HTTP/0.9 text": "<html>",
  "version in lower case": "http",
  "leading space": " ",
  "leading LF": "\n",
  "leading CR LF": "\r\n",
  "status of two digits": "HTTP/1.1 20 ",
  "status of four digits": "HTTP/1.1 2000",
  "status below 100": "HTTP/1.1 099 ",
  "status with a sign": "HTTP/1.1 +20",
  "two spaces before the status": "HTTP/1.1  ",
  "NUL in the reason": "HTTP/1.1 200 O\0",
  "bare LF after the status line": "HTTP/1.1 200 OK\n",
  "bare CR after the status line": "HTTP/1.1 200 OK\rX",
  "space before the colon": `${ok}X-A `,
  "folded line": `${ok}X-A: a\r\n `,
  "space before the first field": `${ok} `,
  "bare LF after a field": `${ok}X-A: a\n`,
  "bare CR in a field": `${ok}X-A: a\rb`,
  "NUL in a field": `${ok}X-A: \0`,
  "line without a colon": `${ok}X-A\r`,
  "two lengths": `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
  "two equal lengths": `${ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`,
  "length and chunked": `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "length with a sign": `${ok}Content-Length: +5\r\n\r\n`,
  "list of lengths": `${ok}Content-Length: 5, 5\r\n\r\n`,
  "empty length": `${ok}Content-Length:\r\n\r\n`,
  "length beyond 2^53": `${ok}Content-Length: 9999999999999999\r\n\r\n`,
  "coding gzip": `${ok}Transfer-Encoding: gzip\r\n\r\n`,
  "coding gzip, chunked": `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  "coding chunked, gzip": `${ok}Transfer-Encoding: chunked, gzip\r\n\r\n`,
  "two coding lines": `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "chunked in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  "bad length with 204": "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
  "switch of protocols that nobody asked for":
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
  "101 interim answers": "HTTP/1.1 102 Processing\r\n\r\n".repeat(101),
});

/** Wrong after the head went to the caller. */
export const malformedBodies = rows({
  "chunk size 0x": `${chunked}0x`,
  "chunk size with a space": `${chunked}5 `,
  "chunk size with a bare LF": `${chunked}5\n`,
  "chunk size of 64 bits and one": `${chunked}10000000000000000`,
  "chunk longer than its size": `${chunked}2\r\nabc`,
  "chunk ended by a bare LF": `${chunked}2\r\nab\n`,
  "extension with a bare LF": `${chunked}2;a\n`,
  "trailer without a colon": `${chunked}0\r\nX\r`,
  "trailer Content-Length": `${chunked}0\r\nContent-Length: 5\r\n\r\n`,
  "trailer Set-Cookie": `${chunked}0\r\nSet-Cookie: a=b\r\n\r\n`,
});

/** Right as far as they go: then the service closes. */
export const truncatedAnswers = rows({
  "length, nothing of the body": `${ok}Content-Length: 5\r\n\r\n`,
  "length, part of the body": `${ok}Content-Length: 5\r\n\r\nabc`,
  "chunked, no chunk": chunked,
  "chunked, part of a size": `${chunked}5`,
  "chunked, part of a chunk": `${chunked}5\r\nabc`,
  "chunked, whole chunks and no last one": `${chunked}3\r\nabc\r\n`,
  "chunked, last chunk without its empty line": `${chunked}3\r\nabc\r\n0\r\n`,
  "chunked, part of the trailers": `${chunked}0\r\nX-A: 1\r\n`,
});
