/** Puts a Response - a service's, changed or not, or one that some code made - onto a caller's connection. */
import type { BodySink, BodySource } from "../types.ts";
import type { OutgoingBody, OutgoingResponse } from "./fetch/sources.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import type { BodyFraming } from "./http1/response-rules.ts";
import { StreamSource } from "./stream-source.ts";
import { flushWires } from "./wire.ts";

/** Writes the head and starts the body; the connection tells its owner when it is out, maybe before this returns. */
export function respond(
  connection: DownstreamConnection,
  { status, reason, fields, body }: OutgoingResponse,
  date: string,
): SentBody {
  const own = fields.source === null && namedValue(fields.added, "date") === null;
  const added = own ? [...fields.added, "date", date] : fields.added;
  const edited = { status, reason, fields: fields.source, removed: fields.removed, added };
  const dropped =
    body.kind === "none" && connection.request.method === "HEAD" ? body.droppedBytes : undefined;
  const framing =
    dropped === undefined ? framingOf(body) : ({ framing: "length", bodyBytes: dropped } as const);
  connection.answer.edited(edited, framing);
  const source = deliver(body, connection.answer);
  flushWires();
  return source;
}

/** A body that is still on its way, and can be cancelled; null when there is none. */
export type SentBody = BodySource | null;

/** The code that an answer says in `x-clearway-reason`; null when it is a service's own. */
export function reasonCode({ fields }: OutgoingResponse): string | null {
  return namedValue(fields.added, "x-clearway-reason");
}

function framingOf(body: OutgoingBody): { framing: BodyFraming; bodyBytes: number } {
  switch (body.kind) {
    case "none":
      return { framing: "none", bodyBytes: 0 };
    case "bytes":
      return { framing: body.bytes.length === 0 ? "none" : "length", bodyBytes: body.bytes.length };
    case "stream":
      return { framing: "chunked", bodyBytes: 0 };
    case "source": {
      const { lengthBytes } = body.source;
      if (lengthBytes === null) return { framing: "chunked", bodyBytes: 0 };
      return { framing: lengthBytes === 0 ? "none" : "length", bodyBytes: lengthBytes };
    }
  }
}

/** Something that takes a body and can be told whom to hold back. */
export interface FedSink extends BodySink {
  feed(source: BodySource): void;
}

/** Sends a body on its way into a connection, downstream or upstream. */
export function deliver(body: OutgoingBody, sink: FedSink): BodySource | null {
  if (body.kind === "none") sink.end(null);
  else if (body.kind === "bytes") {
    const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
    sink.data(bytes, 0, bytes.length);
    sink.end(null);
  } else {
    const source = body.kind === "source" ? body.source : new StreamSource(body.stream);
    sink.feed(source);
    source.pipe(sink);
    return source;
  }
  return null;
}

function namedValue(pairs: readonly string[], lower: string): string | null {
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const name = pairs[i]!;
    if (name.length === lower.length && name.toLowerCase() === lower) return pairs[i + 1]!;
  }
  return null;
}
