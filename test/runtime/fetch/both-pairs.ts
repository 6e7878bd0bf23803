/** Runs the same code once on the host's own Request and Response and once on the lightweight pair. */
import { Hono, type MiddlewareHandler } from "hono";
import { installGlobals } from "../../../src/runtime/fetch/globals.ts";
import { NativeHeaders, NativeRequest, NativeResponse } from "../../../src/runtime/fetch/natives.ts";
import { outgoingRequest, outgoingResponse } from "../../../src/runtime/fetch/outgoing.ts";
import type { FieldEdits, OutgoingBody } from "../../../src/runtime/fetch/sources.ts";
import type { BodySource } from "../../../src/types.ts";
import { ManualBody, requestFrom, responseFrom } from "./messages.ts";

export interface RequestDraft {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface ResponseDraft {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks as they come from the service. */
  readonly body?: readonly string[];
}

/** What went over the wire, as far as both pairs must agree. */
export interface Wire {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
  /** Null when nothing was forwarded. */
  readonly forwarded: {
    readonly method: string;
    readonly headers: readonly string[];
    readonly body: string;
  } | null;
}

type Forward = (request: Request) => Promise<Response>;

/** What runs on a pair. */
export type App = (request: Request, forward: Forward) => Response | Promise<Response>;

/** What Hono's own app runs before it forwards. */
export type Uses = readonly ((...parts: Parameters<MiddlewareHandler>) => unknown)[];

export function honoApp(uses: Uses): App {
  return (request, forward) => {
    const app = new Hono();
    for (const use of uses) app.use(use as MiddlewareHandler);
    app.all("*", (c) => forward(c.req.raw));
    return app.fetch(request);
  };
}

const ORIGIN = "http://shop.example";
/** Made by framing, or by one pair only: Bun's Response leaves the type of text to its server. */
const UNEQUAL = ["content-length", "transfer-encoding"];
const TEXT = "content-type: text/plain;charset=utf-8";

export async function onNativePair(app: App, draft: RequestDraft, answer: ResponseDraft): Promise<Wire> {
  return withGlobals("native", async () => {
    let forwarded: Wire["forwarded"] = null;
    const response = await app(nativeRequest(draft), async (request) => {
      const body = await request.text();
      forwarded = { method: request.method, headers: comparable([...request.headers].flat()), body };
      const stream = answer.body === undefined ? null : streamOf(answer.body);
      return new Response(stream, { status: answer.status ?? 200, headers: { ...answer.headers } });
    });
    const headers = comparable([...response.headers].flat());
    return { status: response.status, headers, body: await plain(response), forwarded };
  });
}

export async function onLightPair(app: App, draft: RequestDraft, answer: ResponseDraft): Promise<Wire> {
  return withGlobals("light", async () => {
    let forwarded: Wire["forwarded"] = null;
    const original = lightDraft(draft);
    const response = await app(original, async (request) => {
      const { method, fields, body } = outgoingRequest(request, original);
      forwarded = { method, headers: comparable(written(fields)), body: (await bytesOf(body)).toString() };
      const source = answer.body === undefined ? null : new ManualBody(answer.body);
      return responseFrom(lines(answer.headers), { status: answer.status ?? 200, body: source });
    });
    const { status, fields, body } = outgoingResponse(response);
    const pairs = written(fields);
    const native = new NativeResponse(await bytesOf(body), { headers: new NativeHeaders(twos(pairs)) });
    return { status, headers: comparable(pairs), body: await plain(native), forwarded };
  });
}

async function withGlobals<T>(pair: "native" | "light", run: () => Promise<T>): Promise<T> {
  const before = { Request, Response, Headers, fetch };
  if (pair === "light") installGlobals();
  else
    Object.assign(globalThis, { Request: NativeRequest, Response: NativeResponse, Headers: NativeHeaders });
  try {
    return await run();
  } finally {
    Object.assign(globalThis, before);
  }
}

function nativeRequest({ method = "GET", path = "/", headers = {}, body }: RequestDraft): Request {
  return new Request(ORIGIN + path, { method, headers, ...(body === undefined ? {} : { body }) });
}

function lightDraft({ method = "GET", path = "/", headers = {}, body }: RequestDraft): Request {
  const source = body === undefined ? null : new ManualBody([body.slice(0, 3), body.slice(3)]);
  return requestFrom(lines(headers), { method, url: ORIGIN + path, body: source });
}

function lines(headers: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}

/** The fields as the codec would write them: name, value, name, value … */
export function written({ source, removed, added }: FieldEdits): string[] {
  const pairs: string[] = [];
  for (let i = 0; source !== null && i < source.count; i++) {
    if (removed.includes(i)) continue;
    const [nameStart, nameEnd, start, end] = source.offsets.subarray(4 * i);
    pairs.push(
      source.bytes.toString("latin1", nameStart, nameEnd),
      source.bytes.toString("latin1", start, end),
    );
  }
  return [...pairs, ...added];
}

function twos(pairs: readonly string[]): [string, string][] {
  return pairs.flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1]!] as [string, string]] : []));
}

function comparable(pairs: readonly string[]): string[] {
  const headers = new NativeHeaders(twos(pairs));
  const all = [...headers].map(([name, value]) => `${name}: ${value}`);
  return all
    .filter((line) => !UNEQUAL.some((name) => line.startsWith(`${name}:`)) && line.toLowerCase() !== TEXT)
    .sort();
}

export async function bytesOf(body: OutgoingBody): Promise<Buffer<ArrayBuffer>> {
  switch (body.kind) {
    case "none":
      return Buffer.alloc(0);
    case "bytes":
      return Buffer.from(body.bytes);
    case "stream":
      return Buffer.from(await new NativeResponse(body.stream).arrayBuffer());
    case "source":
      return drained(body.source);
  }
}

function drained(source: BodySource): Promise<Buffer<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    source.pipe({
      data: (bytes, start, end) => void chunks.push(Buffer.from(bytes.subarray(start, end))),
      end: () => resolve(Buffer.concat(chunks)),
      fail: reject,
    });
  });
}

function streamOf(chunks: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
}

async function plain(response: Response): Promise<string> {
  const coding = response.headers.get("content-encoding");
  if ((coding !== "gzip" && coding !== "deflate") || response.body === null) return response.text();
  return new NativeResponse(response.body.pipeThrough(new DecompressionStream(coding))).text();
}
