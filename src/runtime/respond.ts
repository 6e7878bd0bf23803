/** Puts a Response - a service's, changed or not, or one that some code made - onto a caller's connection. */
import type { BodySink, BodySource } from "../types.ts";
import { outgoingResponse } from "./fetch/outgoing.ts";
import type { OutgoingBody } from "./fetch/sources.ts";
import type { DownstreamConnection } from "./http1/downstream.ts";
import type { BodyFraming } from "./http1/response-rules.ts";
import { StreamSource } from "./stream-source.ts";
import { flushWires } from "./wire.ts";

export interface Responded {
  readonly status: number;
  /** The code in `x-clearway-reason` when Clearway or a filter said one. */
  readonly reason: string | null;
}

/** Writes the head and starts the body; the connection tells its owner when it is out. */
export function respond(connection: DownstreamConnection, response: Response, date: string): Responded {
  const { status, reason, fields, body } = outgoingResponse(response);
  const added =
    fields.source === null && !hasName(fields.added, "date") ? [...fields.added, "date", date] : fields.added;
  const edited = { status, reason, fields: fields.source, removed: fields.removed, added };
  connection.answerEdited(edited, framingOf(body));
  deliver(body, connection);
  flushWires();
  return { status, reason: namedValue(fields.added, "x-clearway-reason") };
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
export function deliver(body: OutgoingBody, sink: FedSink): void {
  if (body.kind === "none") sink.end(null);
  else if (body.kind === "bytes") {
    const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength);
    sink.data(bytes, 0, bytes.length);
    sink.end(null);
  } else {
    const source = body.kind === "source" ? body.source : new StreamSource(body.stream);
    sink.feed(source);
    source.pipe(sink);
  }
}

function hasName(pairs: readonly string[], lower: string): boolean {
  return namedValue(pairs, lower) !== null;
}

function namedValue(pairs: readonly string[], lower: string): string | null {
  for (let i = 0; i + 1 < pairs.length; i += 2) if (pairs[i]!.toLowerCase() === lower) return pairs[i + 1]!;
  return null;
}
