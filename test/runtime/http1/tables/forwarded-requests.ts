/** Requests that go on to the service, and exactly what it gets. RFC 9112, RFC 9110 section 7. */
export interface ForwardedRequest {
  readonly name: string;
  /** latin1 */
  readonly bytes: string;
  /** Method of the request, for reading its answer. */
  readonly method: string;
  /** What the service gets, latin1. */
  readonly forwarded: string;
}

type Row = readonly [name: string, bytes: string, forwarded: string];

/** The lines that say where a request came from. */
function origin(options: { version?: string; authority?: string } = {}): string {
  const { version = "1.1", authority = "shop.example" } = options;
  const host = /^[\w.-]+$/.test(authority) ? authority : `"${authority}"`;
  return (
    "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" +
    (authority === "" ? "" : `X-Forwarded-Host: ${authority}\r\n`) +
    `Forwarded: for=127.0.0.1${authority === "" ? "" : `;host=${host}`};proto=http\r\n` +
    `Via: ${version} clearway-test\r\n`
  );
}

const host = "Host: shop.example\r\n";

/** A head that goes on as it came, but for the lines of its origin. */
function asItCame(name: string, head: string, body = ""): Row {
  return [name, `${head}\r\n${body}`, `${head}${origin()}\r\n${body}`];
}

const targets: readonly Row[] = [
  asItCame("GET", `GET / HTTP/1.1\r\n${host}`),
  asItCame("query", `GET /a?b=c&d=%20 HTTP/1.1\r\n${host}`),
  asItCame("empty query", `GET /a? HTTP/1.1\r\n${host}`),
  asItCame("query with question marks, slashes and dots", `GET /a?b?/../c=//.. HTTP/1.1\r\n${host}`),
  asItCame("all that a target may hold", `GET /!$&'()*+,-.0:;<=>@A_[]^\`a{|}~%20"? HTTP/1.1\r\n${host}`),
  asItCame("repeated slashes", `GET //a///b// HTTP/1.1\r\n${host}`),
  asItCame("escaped slash", `GET /a%2Fb HTTP/1.1\r\n${host}`),
  asItCame("any method", `PURGE /a HTTP/1.1\r\n${host}`),
  asItCame("method in lower case", `get /a HTTP/1.1\r\n${host}`),
  asItCame("method of odd characters", `M-SEARCH!#$%&'*+.^_\`|~9 /a HTTP/1.1\r\n${host}`),
  asItCame("TRACE", `TRACE /a HTTP/1.1\r\n${host}`),
  asItCame("OPTIONS", `OPTIONS /a HTTP/1.1\r\n${host}`),
  asItCame("HEAD", `HEAD /a HTTP/1.1\r\n${host}`),
  ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${host}\r\n`, `OPTIONS * HTTP/1.1\r\n${host}${origin()}\r\n`],
  [
    "path in another spelling",
    `GET /%7euser/caf%c3%a9?%7e HTTP/1.1\r\n${host}\r\n`,
    `GET /~user/caf%C3%A9?%7e HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
  [
    "absolute form: its authority replaces Host",
    "GET http://Shop.Example:8080/a?b HTTP/1.1\r\nHost: other.example\r\nX-A: 1\r\n\r\n",
    `GET /a?b HTTP/1.1\r\nHost: Shop.Example:8080\r\nX-A: 1\r\n${origin({ authority: "Shop.Example:8080" })}\r\n`,
  ],
  [
    "absolute form without a path",
    `GET HTTP://shop.example?a HTTP/1.1\r\n${host}\r\n`,
    `GET /?a HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
  [
    "absolute form of OPTIONS *",
    `OPTIONS http://shop.example HTTP/1.1\r\n${host}\r\n`,
    `OPTIONS * HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
  [
    "Host with a port",
    "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n${origin({ authority: "[2001:DB8::1]:8080" })}\r\n`,
  ],
  [
    "one empty line before the request",
    `\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
];

const fields: readonly Row[] = [
  asItCame(
    "case, order and repeats of fields",
    `GET / HTTP/1.1\r\nx-B: 2\r\nX-a: 1\r\nhOsT: shop.example\r\nCookie: a=b\r\nx-b: 3\r\nX-B:4\r\nCOOKIE: c=d\r\n`,
  ),
  asItCame(
    "white space around values, empty values, obs-text",
    `GET / HTTP/1.1\r\n${host}X-A:\r\nX-B: \t \r\nX-C:\tv \t\r\nX-D: caf\xe9 \x80\r\nX-E: a  b\r\n`,
  ),
  asItCame("all characters of a name", `GET / HTTP/1.1\r\n${host}!#$%&'*+-.^_\`|~0aZ: x\r\n`),
  asItCame("underscores in names", `GET / HTTP/1.1\r\n${host}X_User: a\r\nX-User: b\r\n`),
  asItCame("Via of others", `GET / HTTP/1.1\r\n${host}Via: 1.0 fred, 1.1 p.example (x)\r\n`),
  [
    "hop-by-hop fields",
    `GET / HTTP/1.1\r\n${host}Keep-Alive: 5\r\nX-A: 1\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: X\r\nProxy-Authorization: Basic eA==\r\nX-B: 2\r\nUpgrade: websocket\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X-A: 1\r\nX-B: 2\r\n${origin()}\r\n`,
  ],
  [
    "fields that Connection names",
    `GET / HTTP/1.1\r\n${host}Connection: X-A, keep-alive\r\nx-a: 1\r\nX-B: 2\r\nConnection: x-c,,\r\nX-C: 3\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X-B: 2\r\n${origin()}\r\n`,
  ],
  [
    "Connection cannot name what framing, routing and this proxy say",
    `POST / HTTP/1.1\r\n${host}Connection: Host, Content-Length, X-Forwarded-For, Forwarded, Via, X-Forwarded-Proto\r\nContent-Length: 2\r\n\r\nhi`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n${origin()}\r\nhi`,
  ],
  [
    "what a caller says of its origin, without trusted hops",
    `GET / HTTP/1.1\r\n${host}X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nx-forwarded-host: a\r\nForwarded: for=192.0.2.1\r\nX-A: 1\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X-A: 1\r\n${origin()}\r\n`,
  ],
  [
    "internal fields",
    `GET / HTTP/1.1\r\n${host}X-Clearway-Reason: x\r\nx-clearway-identity: spiffe://a/b\r\nX-CLEARWAY-: y\r\nX-Clearwayed: z\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}X-Clearwayed: z\r\n${origin()}\r\n`,
  ],
  [
    "internal fields in the spelling of CGI",
    `GET / HTTP/1.1\r\n${host}X_Clearway_Identity: a\r\nx-clearway_identity: b\r\nX_CLEARWAY-IDENTITY: c\r\nx_clear_way: d\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}x_clear_way: d\r\n${origin()}\r\n`,
  ],
];

const versions: readonly Row[] = [
  ["HTTP/1.0", `GET / HTTP/1.0\r\n${host}\r\n`, `GET / HTTP/1.1\r\n${host}${origin({ version: "1.0" })}\r\n`],
  [
    "HTTP/1.0 with a body",
    `POST / HTTP/1.0\r\n${host}Content-Length: 2\r\n\r\nhi`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n${origin({ version: "1.0" })}\r\nhi`,
  ],
  [
    "HTTP/1.0 with Expect",
    `POST / HTTP/1.0\r\n${host}Content-Length: 2\r\nExpect: 100-continue\r\n\r\nhi`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n${origin({ version: "1.0" })}\r\nhi`,
  ],
];

const bodies: readonly Row[] = [
  asItCame("length", `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n`, "he\0l\xff"),
  asItCame("length 0", `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\n`),
  asItCame("POST without a body", `POST / HTTP/1.1\r\n${host}`),
  asItCame("GET with a body", `GET / HTTP/1.1\r\n${host}content-length: 5\r\n`, "hello"),
  asItCame(
    "body that looks like a request",
    `POST / HTTP/1.1\r\n${host}Content-Length: 29\r\n`,
    "GET /smuggled HTTP/1.1\r\nA: b\r\n".slice(0, 29),
  ),
  [
    "chunked",
    `POST / HTTP/1.1\r\n${host}transfer-encoding: Chunked\r\nX-A: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}X-A: 1\r\n${origin()}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  ],
  [
    "chunked with leading zeros, upper and lower digits, extensions",
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n00A;a;b=c;d="e \\" f"\r\n0123456789\r\n0b\r\n0123456789a\r\n000;x\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}${origin()}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n`,
  ],
  [
    "chunked and empty",
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}${origin()}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "chunked with trailers",
    `POST / HTTP/1.1\r\n${host}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-sum:2\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}${origin()}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n`,
  ],
  [
    "Expect without a body",
    `GET / HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
  asItCame(
    "Expect with a body",
    `POST / HTTP/1.1\r\n${host}expect: 100-Continue\r\nContent-Length: 2\r\n`,
    "hi",
  ),
];

const upgrades: readonly Row[] = [
  [
    "Upgrade",
    `GET /chat HTTP/1.1\r\n${host}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
    `GET /chat HTTP/1.1\r\n${host}Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n${origin()}Connection: Upgrade\r\n\r\n`,
  ],
  ...[
    "Upgrade: h2c\r\n",
    "Upgrade: H2C\r\n",
    "Upgrade: websocket, h2c\r\n",
    "Upgrade: h2c\r\nUpgrade: websocket\r\n",
    "Upgrade: websocket\r\nUpgrade: h2c\r\n",
    "Upgrade: HTTP/2.0\r\n",
  ].map(
    (lines): Row => [
      `h2c is never asked for: ${JSON.stringify(lines)}`,
      `GET / HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings\r\n${lines}HTTP2-Settings: AAM\r\n\r\n`,
      `GET / HTTP/1.1\r\n${host}${origin()}\r\n`,
    ],
  ),
  [
    "Upgrade that Connection does not name",
    `GET / HTTP/1.1\r\n${host}Upgrade: websocket\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}${origin()}\r\n`,
  ],
  [
    "Upgrade with a body",
    `POST / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi`,
    `POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n${origin()}\r\nhi`,
  ],
  [
    "Upgrade in HTTP/1.0",
    `GET / HTTP/1.0\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}${origin({ version: "1.0" })}\r\n`,
  ],
];

export const forwardedRequests: readonly ForwardedRequest[] = [
  ...targets,
  ...fields,
  ...versions,
  ...bodies,
  ...upgrades,
].map(([name, bytes, forwarded]) => ({
  name,
  bytes,
  forwarded,
  method: bytes.startsWith("HEAD ") ? "HEAD" : "GET",
}));
