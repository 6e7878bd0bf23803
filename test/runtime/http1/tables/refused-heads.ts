/**
 * Heads that no service may see: the bytes up to and including the first wrong one (or the line that it makes wrong),
 * and the answer. Nothing follows the bytes: whoever waits for more before it refuses fails the test.
 * RFC 9112 sections 2 to 6, RFC 9110 sections 5, 7 and 8.
 */
export interface RefusedHead {
  readonly name: string;
  /** latin1 */
  readonly bytes: string;
  readonly status: number;
  /** The code in `x-clearway-reason`. */
  readonly reason: string;
}

type Row = readonly [name: string, bytes: string, status: number, reason: string];

const host = "Host: shop.example\r\n";
const get = `GET / HTTP/1.1\r\n${host}`;
const post = `POST / HTTP/1.1\r\n${host}`;

const requestLines: readonly Row[] = [
  ["line without version (HTTP/0.9)", "GET /\r", 400, "bad-request-line"],
  ["line with version missing after a space", "GET / \r", 400, "bad-request-line"],
  ["line ended by a bare LF", "GET / HTTP/1.1\n", 400, "bad-request-line"],
  ["line ended by a bare CR", "GET / HTTP/1.1\rH", 400, "bad-line-end"],
  ["two spaces after the method", "GET  ", 400, "bad-request-line"],
  ["two spaces before the version", "GET /  ", 400, "bad-request-line"],
  ["space after the version", "GET / HTTP/1.1 ", 400, "bad-request-line"],
  ["tab between method and target", "GET\t", 400, "bad-request-line"],
  ["tab between target and version", "GET /\t", 400, "bad-request-line"],
  ["leading space", " ", 400, "bad-request-line"],
  ["leading LF", "\n", 400, "bad-request-line"],
  ["leading CR without LF", "\rG", 400, "bad-request-line"],
  ["two empty lines before the line", "\r\n\r", 400, "bad-request-line"],
  ["NUL as the first byte", "\0", 400, "bad-request-line"],
  ["byte above 0x7f in the method", "G\xc9", 400, "bad-request-line"],
  ["method with a colon", "GET:", 400, "bad-request-line"],
  ["method in brackets", "[", 400, "bad-request-line"],
  ["TLS client hello", "\x16", 400, "tls-on-plain-port"],
  ["version in lower case", "GET / h", 400, "bad-request-line"],
  ["version HTTP/2.0", "GET / HTTP/2", 505, "bad-version"],
  ["version HTTP/1.2", "GET / HTTP/1.2", 505, "bad-version"],
  ["version HTTP/0.9", "GET / HTTP/0", 505, "bad-version"],
  ["version HTTP/1,1", "GET / HTTP/1,", 505, "bad-version"],
  ["version HTTP/1.10", "GET / HTTP/1.10", 400, "bad-request-line"],
  ["version HTTP/11.1", "GET / HTTP/11", 505, "bad-version"],
  ["version HTTPS/1.1", "GET / HTTPS", 400, "bad-request-line"],
  ["HTTP/2 preface", "PRI * HTTP/2", 505, "bad-version"],
];

const targets: readonly Row[] = [
  ["fragment in the target", "GET /a#", 400, "bad-request-line"],
  ["byte above 0x7f in the target", "GET /caf\xc3", 400, "bad-request-line"],
  ["DEL in the target", "GET /a\x7f", 400, "bad-request-line"],
  ["NUL in the target", "GET /a\0", 400, "bad-request-line"],
  ["space inside the target", "GET /a b", 400, "bad-request-line"],
  ["CR inside the target", "GET /a\rb", 400, "bad-request-line"],
  ["target without a slash", `GET a HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["target that is a query alone", `GET ?a HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["asterisk with GET", `GET * HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["asterisk with more", `OPTIONS *a HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["authority form without CONNECT", `GET shop.example:80 HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["scheme ftp", `GET ftp://shop.example/ HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["scheme with one slash", `GET http:/shop.example/ HTTP/1.1\r\n${host}\r\n`, 400, "bad-target"],
  ["absolute form without authority", `GET http:///a HTTP/1.1\r\n${host}\r\n`, 400, "bad-host"],
  [
    "absolute form with user information",
    `GET http://u@shop.example/ HTTP/1.1\r\n${host}\r\n`,
    400,
    "bad-host",
  ],
  ["absolute form with a bad port", `GET http://shop.example:x/ HTTP/1.1\r\n${host}\r\n`, 400, "bad-host"],
  ["absolute form without Host", "GET http://shop.example/ HTTP/1.1\r\n\r\n", 400, "missing-host"],
  [
    "absolute form with a bad Host",
    "GET http://shop.example/ HTTP/1.1\r\nHost: a b\r\n\r\n",
    400,
    "bad-host",
  ],
  ["CONNECT", "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n", 405, "connect-refused"],
  ["CONNECT with a path", `CONNECT / HTTP/1.1\r\n${host}\r\n`, 405, "connect-refused"],
];

/** Refused by the path policy: the framing is not in doubt, so the connection goes on. */
export const refusedPaths: readonly string[] = [
  "/a/../b",
  "/..",
  "/a/.",
  "/%2e%2e/b",
  "/a/.%2E/b",
  "/a\\b",
  "/a%5cb",
  "/a%00b",
  "/a%",
  "/a%2",
  "/a%zz",
  "/a/..;/b",
  "/a/..%2fb",
];

const hosts: readonly Row[] = [
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400, "missing-host"],
  [
    "no Host but Upgrade",
    "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    400,
    "missing-host",
  ],
  ["two Hosts", `${get}Host: other.example\r\n\r\n`, 400, "repeated-host"],
  ["two equal Hosts", `${get}${host}\r\n`, 400, "repeated-host"],
  ["two Hosts in HTTP/1.0", `GET / HTTP/1.0\r\n${host}${host}\r\n`, 400, "repeated-host"],
  ["a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a@b\r\n\r\n", 400, "bad-host"],
  ...[
    "",
    "a@b",
    "user:secret@shop.example",
    "shop.example/",
    "shop.example:80:80",
    "shop.example:65536",
    "shop.example:-1",
    "shop.example:8o",
    ":80",
    "a b",
    "a,\tb",
    "http://shop.example",
    "[::1",
    "[::1]x",
    "[zz]",
    "[]",
    "::1",
    "a%2",
    "a%zz",
    "a\xe9b",
    'a"b',
    "a<b>",
    "a\\b",
    "a?b",
    "a#b",
  ].map(
    (value) =>
      [`Host ${JSON.stringify(value)}`, `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`, 400, "bad-host"] as const,
  ),
];

const fields: readonly Row[] = [
  ["space before the colon", `${get}X-A `, 400, "bad-field-name"],
  ["tab before the colon", `${get}X-A\t`, 400, "bad-field-name"],
  ["field line without a colon", `${get}X-A\r`, 400, "bad-field-name"],
  ["empty field name", `${get}:`, 400, "bad-field-name"],
  ["folded line (space)", `${get}X-A: a\r\n `, 400, "bad-field-name"],
  ["folded line (tab)", `${get}X-A: a\r\n\t`, 400, "bad-field-name"],
  ["space before the first field", "GET / HTTP/1.1\r\n ", 400, "bad-field-name"],
  ["byte above 0x7f in a name", `${get}X-\xc4`, 400, "bad-field-name"],
  ["NUL in a name", `${get}X-\0`, 400, "bad-field-name"],
  ["quote in a name", `${get}"`, 400, "bad-field-name"],
  ["slash in a name", `${get}a/`, 400, "bad-field-name"],
  ["NUL in a value", `${get}X-A: a\0`, 400, "bad-field-value"],
  ["ESC in a value", `${get}X-A: \x1b`, 400, "bad-field-value"],
  ["DEL in a value", `${get}X-A: a\x7f`, 400, "bad-field-value"],
  ["bare CR in a value", `${get}X-A: a\rb`, 400, "bad-line-end"],
  ["two CR before the LF", `${get}X-A: a\r\r`, 400, "bad-line-end"],
  ["bare LF after a value", `${get}X-A: a\n`, 400, "bad-line-end"],
  ["bare LF after an empty value", `${get}X-A:\n`, 400, "bad-line-end"],
  ["bare LF for the empty line", `${get}\n`, 400, "bad-field-name"],
  ["CR without LF at the end", `${get}\rX`, 400, "bad-line-end"],
];

const framing: readonly Row[] = [
  [
    "length and chunked",
    `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    "length-and-transfer-encoding",
  ],
  [
    "chunked and length",
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
    400,
    "length-and-transfer-encoding",
  ],
  [
    "chunked and length 0",
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n`,
    400,
    "length-and-transfer-encoding",
  ],
  ["two lengths", `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400, "bad-content-length"],
  ["two equal lengths", `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`, 400, "bad-content-length"],
  ...[
    "",
    "+5",
    "-5",
    "5,5",
    "5, 5",
    "0x5",
    "5 5",
    "5.0",
    "1e1",
    "5;",
    "9999999999999999",
    "18446744073709551621",
    "\xb2",
  ].map(
    (value) =>
      [
        `length ${JSON.stringify(value)}`,
        `${post}Content-Length: ${value}\r\n\r\n`,
        400,
        "bad-content-length",
      ] as const,
  ),
  ["length with a quote", `${post}Content-Length: "5"\r\n\r\n`, 400, "bad-content-length"],
  ...[
    "gzip",
    "identity",
    "xchunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked;a=b",
    '"chunked"',
    "",
    ",",
  ].map(
    (value) =>
      [
        `coding ${JSON.stringify(value)}`,
        `${post}Transfer-Encoding: ${value}\r\n\r\n`,
        400,
        "bad-transfer-encoding",
      ] as const,
  ),
  ["vertical tab after chunked", `${post}Transfer-Encoding: chunked\x0b`, 400, "bad-field-value"],
  ["gzip, chunked", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501, "unknown-transfer-encoding"],
  [
    "two coding lines",
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    "bad-transfer-encoding",
  ],
  [
    "two coding lines, the first gzip",
    `${post}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n`,
    400,
    "bad-transfer-encoding",
  ],
  [
    "chunked in HTTP/1.0",
    `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n`,
    400,
    "bad-transfer-encoding",
  ],
  [
    "chunked and length in HTTP/1.0",
    `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
    400,
    "bad-transfer-encoding",
  ],
  ["folded Transfer-Encoding", `${post}Transfer-Encoding:\r\n chunked`, 400, "bad-field-name"],
  [
    "Transfer-Encoding with a space before the colon",
    `${post}Transfer-Encoding : chunked`,
    400,
    "bad-field-name",
  ],
  ["Content-Length with a space before the colon", `${post}Content-Length : 5`, 400, "bad-field-name"],
];

const expectations: readonly Row[] = [
  ["unknown expectation", `${post}Content-Length: 5\r\nExpect: 200-ok\r\n\r\n`, 417, "unknown-expectation"],
  [
    "expectation with a parameter",
    `${post}Content-Length: 5\r\nExpect: 100-continue;q=1\r\n\r\n`,
    417,
    "unknown-expectation",
  ],
  [
    "two expectations",
    `${post}Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n`,
    417,
    "unknown-expectation",
  ],
  ["empty expectation", `${post}Content-Length: 5\r\nExpect:\r\n\r\n`, 417, "unknown-expectation"],
];

export const refusedHeads: readonly RefusedHead[] = [
  ...requestLines,
  ...targets,
  ...hosts,
  ...fields,
  ...framing,
  ...expectations,
].map(([name, bytes, status, reason]) => ({ name, bytes, status, reason }));
