/**
 * Downstream. Asks a service whether a request may pass. Any 2xx says yes; what it answers from 300 to 499 is what the
 * caller gets; all else - no answer in time, 5xx - is a failure, on which `failure` decides.
 */
import { defineFilter, duration, type Middleware, service, size, type Tools, z } from "../plugin.ts";
import { questionAbout } from "./ext-authz/question.ts";
import { headerName } from "./header-name.ts";
import { refusalOf } from "./refusal.ts";
import { readAtMost } from "./who/bounded-body.ts";

type Context = Parameters<Middleware>[0];

/** Of the body of a refusal. */
const REFUSAL_BYTES_MAX = 64 * 1024;
/** Fields of a refusal that the caller gets. */
const REFUSAL_FIELDS = [
  "content-type",
  "www-authenticate",
  "location",
  "cache-control",
  "retry-after",
  "vary",
];

const headerNames = z.array(headerName).max(100);

const options = z.strictObject({
  service: service().describe("the service that is asked"),
  path: z
    .string()
    .regex(/^\/[!-~]*$/, "wanted a path, such as /check")
    .default("/")
    .describe("the path that is asked for"),
  send: headerNames.default(["authorization", "cookie"]).describe("headers of the request that it gets"),
  toService: headerNames
    .default([])
    .describe("headers of its answer that the request gets; what callers send under these names is removed"),
  toCaller: headerNames
    .default([])
    .describe("headers of its answer that the caller's answer gets, such as set-cookie"),
  body: size({ minBytes: 1, maxBytes: 8 * 1024 * 1024 })
    .describe(
      "sends the body too, held whole, up to this size; a larger one is refused with 413; without it no body is sent",
    )
    .exactOptional(),
  timeout: duration({ maxMs: 60_000 }).default(1000).describe("how long its answer may take"),
  failure: z
    .enum(["deny", "allow"])
    .default("deny")
    .describe("what happens to a request when the service gives no answer"),
});

type Options = z.output<typeof options>;

export default defineFilter({
  name: "ext-authz",
  summary: "Asks a service whether a request may pass",
  options,
  middleware: (given, tools) => {
    const { toService, toCaller, failure } = given;
    const judge = new Judge(given, tools);
    return async (c, next) => {
      const body = given.body === undefined ? null : await bodyOf(c, given.body);
      if (body === "too-large") return refuseBody(given.body);
      const answer = await judge.ask(questionAbout(c, given, body));
      if (answer === null && failure === "deny") return unavailable();
      if (answer !== null && !answer.ok) return refusalBy(answer);
      const { headers } = c.req.raw;
      for (const name of toService) {
        const value = answer?.headers.get(name) ?? null;
        if (value === null) headers.delete(name);
        else headers.set(name, value);
      }
      await next();
      if (answer !== null) for (const name of toCaller) copyField(name, answer.headers, c.res.headers);
    };
  },
});

class Judge {
  readonly #options: Options;
  readonly #tools: Tools;
  /** Whether the last question failed: only the first of several failures is logged. */
  #failing = false;

  constructor(given: Options, tools: Tools) {
    this.#options = given;
    this.#tools = tools;
  }

  /** Null when there is no answer that says anything; a refusal's body is held. */
  async ask(question: Request): Promise<Response | null> {
    const { metrics, log, clock } = this.#tools;
    const { service: name, timeout } = this.#options;
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(timeout, () => late.reject(new Error(`no answer within ${timeout} ms`)));
    try {
      const answer = await Promise.race([this.#answer(question), late.promise]);
      metrics.count("ext_authz_asked", { result: answer.ok ? "allowed" : "denied" });
      if (this.#failing) log.info("the service that decides can be asked again", { service: name });
      this.#failing = false;
      return answer;
    } catch (error) {
      metrics.count("ext_authz_asked", { result: "failed" });
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#failing) log.warn(`cannot ask the service that decides: ${reason}`, { service: name });
      this.#failing = true;
      return null;
    } finally {
      cancel();
    }
  }

  async #answer(question: Request): Promise<Response> {
    const answer = await this.#tools.call(this.#options.service, question);
    const { status } = answer;
    if (answer.ok || status >= 500) void answer.body?.cancel().catch(() => {});
    if (answer.ok) return answer;
    if (status >= 500) throw new Error(`it answered ${status}`);
    const body = await readAtMost(answer.body, REFUSAL_BYTES_MAX);
    return new Response(body?.length === 0 ? null : body, { status, headers: answer.headers });
  }
}

/** In the words of the service that decided. */
function refusalBy(answer: Response): Response {
  const headers = new Headers();
  for (const name of REFUSAL_FIELDS) copyField(name, answer.headers, headers);
  headers.set("x-clearway-reason", answer.status === 401 ? "unauthenticated" : "forbidden");
  return new Response(answer.body, { status: answer.status, headers });
}

function unavailable(): Response {
  const sentence = "whether the request may pass cannot be decided at the moment";
  return refusalOf({ status: 503, reason: "ext-authz-unavailable", sentence });
}

function refuseBody(bytesMax: number | undefined): Response {
  const sentence = `the request's body is larger than ${bytesMax} bytes`;
  return refusalOf({ status: 413, reason: "body-too-large", sentence });
}

function copyField(name: string, from: Headers, to: Headers): void {
  if (name.toLowerCase() === "set-cookie") for (const cookie of from.getSetCookie()) to.append(name, cookie);
  else {
    const value = from.get(name);
    if (value !== null) to.set(name, value);
  }
}

async function bodyOf(c: Context, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | null | "too-large"> {
  if (Number(c.req.raw.headers.get("content-length") ?? 0) > bytesMax) return "too-large";
  const bytes = new Uint8Array(await c.req.raw.arrayBuffer());
  if (bytes.byteLength > bytesMax) return "too-large";
  return bytes.byteLength === 0 ? null : bytes;
}
