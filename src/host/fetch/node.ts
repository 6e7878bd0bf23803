/**
 * To the outside on Node and Deno, whose own `fetch` obeys proxy variables (Deno always, Node where NODE_USE_ENV_PROXY
 * is set) with no way to say no.
 */
import { Agent, type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls, Agent as TlsAgent } from "node:https";
import { Readable } from "node:stream";

// The host's own: by the time of a call the globals may be the lightweight pair.
const { Request: HostRequest, Response: HostResponse } = globalThis;

/** Agents of our own: the shared ones may obey proxy variables too. */
const agentOptions = { keepAlive: true, maxFreeSockets: 64 };
const plain = { request: requestPlain, agent: new Agent(agentOptions) };
const tls = { request: requestTls, agent: new TlsAgent(agentOptions) };

/** RFC 9110 section 15: answers that have no body. */
const bodilessStatuses = new Set([204, 205, 304]);

/** Follows no redirect and uses no proxy. The request's body is held whole; the answer's comes as it was sent, encoded or not. */
export async function directFetch(url: string, init?: RequestInit): Promise<Response> {
  const request = new HostRequest(url, init);
  const body = request.body === null ? null : Buffer.from(await request.arrayBuffer());
  const { method, signal } = request;
  const headers = Object.fromEntries(request.headers);
  const { request: send, agent } = new URL(url).protocol === "https:" ? tls : plain;
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    send(url, { method, headers, signal, agent }, resolve).once("error", reject).end(body);
  });
  return responseOf(message, method);
}

function responseOf(message: IncomingMessage, method: string): Response {
  const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = message;
  const headers = rawHeaders.flatMap((name, index): [string, string][] =>
    index % 2 === 0 ? [[name, rawHeaders[index + 1] ?? ""]] : [],
  );
  const empty = method === "HEAD" || bodilessStatuses.has(status);
  if (empty) message.resume();
  const body = empty ? null : (Readable.toWeb(message) as unknown as ReadableStream<Uint8Array>);
  return new HostResponse(body, { status, statusText, headers });
}
