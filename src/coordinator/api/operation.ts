/** One thing that the API does. The list of them is what Hono routes, what checks requests, and what OpenAPI says. */
import type { z } from "zod";
import type { Bindings } from "../../types.ts";
import { Refusal } from "../refusal.ts";

export interface Call<Body> {
  readonly body: Body;
  /** The service that a certificate proved; empty where nobody had to. */
  readonly service: string;
  /** Whom the operator's token names; empty where nobody had to. */
  readonly operator: string;
  /** Null when it is not there. */
  query(name: string): string | null;
  /** Ends the connection at once, in the middle of an answer. */
  abort(): void;
}

/** What the listener in front of the API says of a request. */
export interface ApiBindings extends Bindings {
  abort(): void;
}

export interface Operation {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly summary: string;
  /** Whoever reaches the port; who shows a certificate of the mesh; who has the operator's token. */
  readonly who: "anyone" | "node" | "operator";
  readonly body: z.ZodType | null;
  /** Names of query parameters, and what they do. */
  readonly query?: Readonly<Record<string, string>>;
  readonly answer: Answer;
  run(call: Call<unknown>): Response | Promise<Response>;
}

export interface Answer {
  readonly type: "application/json" | "application/jsonl" | "text/plain";
  /** Null where the shape is told in words. */
  readonly schema: z.ZodType | null;
  readonly summary: string;
}

export const bodyBytesMax = 1024 * 1024;
/** With the code of its plugins. */
export const documentBytesMax = 16 * 1024 * 1024;

/** With `run` typed by the schema of the body. */
export function operation<Schema extends z.ZodType>(
  words: Omit<Operation, "run" | "body"> & {
    readonly body: Schema;
    readonly run: (call: Call<z.infer<Schema>>) => Response | Promise<Response>;
  },
): Operation {
  return { ...words, run: (call) => words.run(call as Call<z.infer<Schema>>) };
}

export function jsonAnswer(schema: z.ZodType, summary: string): Answer {
  return { type: "application/json", schema, summary };
}

/** The body as its operation wants it. Throws a Refusal. */
export async function readBody(request: Request, { body, path }: Operation): Promise<unknown> {
  if (body === null) return null;
  const text = await readText(request, path === "/v1/document" ? documentBytesMax : bodyBytesMax);
  const read = body.safeParse(parsed(text));
  if (read.success) return read.data;
  const [first] = read.error.issues;
  const place = (first?.path ?? []).join(".");
  const where = place === "" ? "the body" : `"${place}"`;
  throw new Refusal("body-invalid", `${where} is not as wanted: ${first?.message ?? "see /openapi.json"}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("body-invalid", "the body is no JSON: every request has an object of JSON as its body");
  }
}

async function readText(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () => new Refusal("body-too-large", `the body has more than ${bytesMax} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    bytes += piece.value.length;
    if (bytes > bytesMax) {
      await reader?.cancel();
      throw tooLarge();
    }
    pieces.push(piece.value);
  }
  return Buffer.concat(pieces).toString();
}
