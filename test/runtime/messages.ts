/**
 * HTTP/1.1 messages as the tests read them: a second, plain reading of RFC 9112 that shares nothing with the codec.
 * Bytes are latin1 text.
 */
export interface Message {
  /** The request or status line. */
  readonly start: string;
  readonly fields: readonly (readonly [string, string])[];
  /** Start line and fields as they came, without the empty line. */
  readonly head: string;
  /** Without its framing. */
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** All of it as it came. */
  readonly raw: string;
}

export interface Reading {
  readonly message: Message;
  readonly rest: string;
}

/** All values of a field, in order. */
export function values(message: Message, name: string): string[] {
  return message.fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

export function statusOf(message: Message): number {
  return Number(message.start.split(" ")[1]);
}

/** Null while the request is not whole; throws when it is none. Chunk extensions are for callers only. */
export function readRequest(text: string, extensions: "refused" | "dropped" = "refused"): Reading | null {
  return read(text, {
    extensions,
    startPattern: /^[!-~]+ [!-~]+ HTTP\/1\.[01]$/,
    framing: (message) => requestFraming(message),
  });
}

/** `method`: of the request that it answers. `ended`: nothing more will come. */
export function readResponse(text: string, options: { method: string; ended: boolean }): Reading | null {
  return read(text, {
    startPattern: /^HTTP\/1\.1 [1-9][0-9]{2} [\t -~\x80-\xff]*$/,
    framing: (message) => responseFraming(message, options.method),
    ended: options.ended,
  });
}

type Framing = number | "chunked" | "close";

interface Grammar {
  readonly startPattern: RegExp;
  framing(head: Pick<Message, "start" | "fields">): Framing;
  readonly ended?: boolean;
  readonly extensions?: "refused" | "dropped";
}

function read(text: string, grammar: Grammar): Reading | null {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const head = text.slice(0, headEnd);
  const [start = "", ...lines] = head.split("\r\n");
  if (!grammar.startPattern.test(start)) throw new Error(`not a start line: ${JSON.stringify(start)}`);
  const fields = lines.map(fieldOf);
  const bodyStart = headEnd + 4;
  const framing = grammar.framing({ start, fields });
  const body = readBody(text.slice(bodyStart), framing, grammar);
  if (body === null) return null;
  const end = bodyStart + body.length;
  const message = { start, fields, head, body: body.data, trailers: body.trailers, raw: text.slice(0, end) };
  return { message, rest: text.slice(end) };
}

function fieldOf(line: string): readonly [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*?)[ \t]*$/.exec(line);
  if (match === null) throw new Error(`not a field line: ${JSON.stringify(line)}`);
  return [match[1]!, match[2]!];
}

interface Body {
  readonly data: string;
  readonly trailers: Message["trailers"];
  readonly length: number;
}

function readBody(text: string, framing: Framing, { ended = false, extensions }: Grammar): Body | null {
  if (framing === "chunked") return readChunks(text, extensions === "dropped" ? /;[^\r\n\0]*$/ : /$^/);
  if (framing === "close") return ended ? { data: text, trailers: [], length: text.length } : null;
  if (text.length < framing) return null;
  return { data: text.slice(0, framing), trailers: [], length: framing };
}

function readChunks(text: string, dropped: RegExp): Body | null {
  let data = "";
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const line = text.slice(at, lineEnd).replace(dropped, "");
    if (!/^[0-9a-fA-F]+$/.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return readTrailers(text, at, data);
    if (text.length < at + size + 2) return null;
    data += text.slice(at, at + size);
    if (text.slice(at + size, at + size + 2) !== "\r\n") throw new Error("a chunk does not end with CR LF");
    at += size + 2;
  }
}

function readTrailers(text: string, start: number, data: string): Body | null {
  if (text.startsWith("\r\n", start)) return { data, trailers: [], length: start + 2 };
  const end = text.indexOf("\r\n\r\n", start);
  if (end < 0) return null;
  return { data, trailers: text.slice(start, end).split("\r\n").map(fieldOf), length: end + 4 };
}

function valuesIn(fields: Message["fields"], name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

function told(fields: Message["fields"]): Framing | null {
  const codings = valuesIn(fields, "transfer-encoding");
  const lengths = valuesIn(fields, "content-length");
  if (codings.length + lengths.length > 1) throw new Error(`framed twice: ${JSON.stringify(fields)}`);
  if (codings.length === 1) {
    if (codings[0]!.toLowerCase() !== "chunked") throw new Error(`not chunked: ${codings[0]}`);
    return "chunked";
  }
  if (lengths.length === 0) return null;
  if (!/^[0-9]{1,15}$/.test(lengths[0]!)) throw new Error(`not a length: ${lengths[0]}`);
  return Number(lengths[0]);
}

function requestFraming({ start, fields }: Pick<Message, "start" | "fields">): Framing {
  const hosts = valuesIn(fields, "host").length;
  if (hosts > 1 || (hosts === 0 && start.endsWith("1.1"))) throw new Error(`${hosts} Hosts`);
  return told(fields) ?? 0;
}

function responseFraming({ start, fields }: Pick<Message, "start" | "fields">, method: string): Framing {
  const status = Number(start.split(" ")[1]);
  const framing = told(fields);
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return 0;
  return framing ?? "close";
}
