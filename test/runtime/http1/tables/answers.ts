/** Answers of a service, and exactly what callers get. RFC 9112 section 6, RFC 9110 sections 7.6 and 15. */
export interface ForwardedAnswer {
  readonly name: string;
  /** Method of the request. */
  readonly method: string;
  /** latin1 */
  readonly bytes: string;
  /** Whether the service closes its side after the bytes. */
  readonly after: "stay" | "close";
  /** What a caller that speaks HTTP/1.1 gets; latin1. */
  readonly caller: string;
  /** The same for HTTP/1.0 with `Connection: keep-alive`. */
  readonly caller10: string;
  /** Whether a connection to the service, and one of a caller of HTTP/1.0, may be used again. */
  readonly reuse: "yes" | "no";
}

type Row = Omit<ForwardedAnswer, "method" | "after" | "reuse"> & Partial<ForwardedAnswer>;

/** An answer that goes to both kinds of caller as it came. */
function asItCame(name: string, head: string, body: string, more: Partial<ForwardedAnswer> = {}): Row {
  return {
    name,
    bytes: `${head}\r\n${body}`,
    caller: `${head}\r\n${body}`,
    caller10: `${head}connection: keep-alive\r\n\r\n${body}`,
    ...more,
  };
}

/** A body whose end is told by a last chunk where the caller knows that, by closing where not. */
function unknownLength(head: string, body: string): Pick<Row, "caller" | "caller10"> {
  const chunk = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
  return {
    caller: `${head}transfer-encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`,
    caller10: `${head}connection: close\r\n\r\n${body}`,
  };
}

const ok = "HTTP/1.1 200 OK\r\n";

const heads: readonly Row[] = [
  asItCame("reason phrase", "HTTP/1.1 200 All is  w\xe9ll!\r\nContent-Length: 2\r\n", "ok"),
  asItCame("empty reason phrase", "HTTP/1.1 200 \r\nContent-Length: 2\r\n", "ok"),
  asItCame("unknown status", "HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n", ""),
  asItCame("highest status", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n", ""),
  asItCame(
    "case, order and repeats of fields",
    `${ok}set-Cookie: a=b\r\nX-b: 1\r\nSet-Cookie: c=d\r\nx-B:2\r\ncontent-LENGTH: 2\r\nX-E:\r\nX-F: caf\xe9\r\n`,
    "ok",
  ),
  asItCame("404 with a body", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n", "gone"),
  {
    name: "status line without the space after the status",
    bytes: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    caller: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    caller10: "HTTP/1.1 200 \r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nok",
  },
  {
    name: "hop-by-hop and internal fields",
    bytes: `${ok}Connection: keep-alive, X-A\r\nKeep-Alive: 5\r\nX-A: 1\r\nX-B: 2\r\nUpgrade: h2c\r\nProxy-Authenticate: x\r\nX-Clearway-Reason: mine\r\nContent-Length: 2\r\n\r\nok`,
    caller: `${ok}X-B: 2\r\nContent-Length: 2\r\n\r\nok`,
    caller10: `${ok}X-B: 2\r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nok`,
  },
  {
    name: "Connection: close",
    bytes: `${ok}Connection: close\r\nContent-Length: 2\r\n\r\nok`,
    after: "close",
    caller: `${ok}Content-Length: 2\r\n\r\nok`,
    caller10: `${ok}Content-Length: 2\r\nconnection: keep-alive\r\n\r\nok`,
    reuse: "no",
  },
];

const bodies: readonly Row[] = [
  asItCame("length", `${ok}Content-Length: 5\r\n`, "h\0l\xffo"),
  {
    name: "chunked",
    bytes: `${ok}Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    ...unknownLength(`${ok}X-A: 1\r\n`, "abc"),
  },
  {
    name: "chunked and empty",
    bytes: `${ok}transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n`,
    ...unknownLength(ok, ""),
  },
  {
    name: "chunked with extensions",
    bytes: `${ok}Transfer-Encoding: chunked\r\n\r\n03;a=b\r\nabc\r\n00;c\r\n\r\n`,
    ...unknownLength(ok, "abc"),
  },
  {
    name: "chunked with trailers",
    bytes: `${ok}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n`,
    caller: `${ok}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n`,
    caller10: `${ok}connection: close\r\n\r\nabc`,
  },
  {
    name: "body that ends with the connection",
    bytes: `${ok}X-A: 1\r\n\r\nabc`,
    after: "close",
    ...unknownLength(`${ok}X-A: 1\r\n`, "abc"),
    reuse: "no",
  },
  {
    name: "empty body that ends with the connection",
    bytes: `${ok}X-A: 1\r\n\r\n`,
    after: "close",
    ...unknownLength(`${ok}X-A: 1\r\n`, ""),
    reuse: "no",
  },
  {
    name: "HTTP/1.0 answer",
    bytes: "HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nabc",
    after: "close",
    ...unknownLength(`${ok}X-A: 1\r\n`, "abc"),
    reuse: "no",
  },
  {
    name: "HTTP/1.0 answer with a length and keep-alive",
    bytes: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
    caller: `${ok}Content-Length: 3\r\n\r\nabc`,
    caller10: `${ok}Content-Length: 3\r\nconnection: keep-alive\r\n\r\nabc`,
  },
  {
    name: "HTTP/1.0 answer with a length",
    bytes: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    caller: `${ok}Content-Length: 3\r\n\r\nabc`,
    caller10: `${ok}Content-Length: 3\r\nconnection: keep-alive\r\n\r\nabc`,
    reuse: "no",
  },
  asItCame("bytes behind the body are no answer", `${ok}Content-Length: 2\r\n`, "ok", {
    bytes: `${ok}Content-Length: 2\r\n\r\nokHTTP/1.1 200 Poison\r\nContent-Length: 0\r\n\r\n`,
    reuse: "no",
  }),
];

const bodiless: readonly Row[] = [
  asItCame("HEAD with a length", `${ok}Content-Length: 500\r\n`, "", { method: "HEAD" }),
  asItCame("HEAD without a length", `${ok}X-A: 1\r\n`, "", { method: "HEAD" }),
  {
    name: "HEAD of a chunked body",
    method: "HEAD",
    bytes: `${ok}Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n`,
    caller: `${ok}X-A: 1\r\n\r\n`,
    caller10: `${ok}X-A: 1\r\nconnection: keep-alive\r\n\r\n`,
  },
  asItCame("HEAD that is answered with a body all the same", `${ok}Content-Length: 2\r\n`, "", {
    method: "HEAD",
    bytes: `${ok}Content-Length: 2\r\n\r\nok`,
    reuse: "no",
  }),
  asItCame("304 with a length", "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 500\r\n", ""),
  asItCame("304 without a length", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n", ""),
  asItCame("204", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n", ""),
  {
    name: "204 with a length, which no 204 may say",
    bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n",
    caller: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    caller10: "HTTP/1.1 204 No Content\r\nX-A: 1\r\nconnection: keep-alive\r\n\r\n",
  },
  {
    name: "204 that says chunked",
    bytes: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n",
    caller: "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    caller10: "HTTP/1.1 204 No Content\r\nX-A: 1\r\nconnection: keep-alive\r\n\r\n",
  },
];

const interim: readonly Row[] = [
  ["100", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["102", "HTTP/1.1 102 Processing\r\nX-I: 1\r\n\r\n"],
  ["103", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nlink: </b>\r\n\r\n"],
  [
    "three in a row",
    "HTTP/1.1 103 A\r\nLink: x\r\n\r\nHTTP/1.1 103 B\r\nLink: y\r\n\r\nHTTP/1.1 102 \r\n\r\n",
  ],
  ["an unknown 1xx", "HTTP/1.1 199 Odd\r\n\r\n"],
].map(([name, bytes]) => ({
  name: `interim answer: ${name}`,
  bytes: `${bytes}${ok}Content-Length: 2\r\n\r\nok`,
  caller: `${bytes}${ok}Content-Length: 2\r\n\r\nok`,
  caller10: `${ok}Content-Length: 2\r\nconnection: keep-alive\r\n\r\nok`,
}));

export const forwardedAnswers: readonly ForwardedAnswer[] = [
  ...heads,
  ...bodies,
  ...bodiless,
  ...interim,
].map((row) => ({ method: "GET", after: "stay", reuse: "yes", ...row }));
