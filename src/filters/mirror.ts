/**
 * Upstream. Sends a copy of a request to another service, and forgets what comes of it: the caller neither waits for it
 * nor hears of it. The copy is the request as the service gets it, except for its Host, which says that it is one.
 */
import { type Call, defineFilter, duration, percent, service, size, type Tools, z } from "../plugin.ts";

/** Copies of a route that are on their way at the same time; in each worker. */
const copiesMax = 100;

const options = z.strictObject({
  to: service().describe("service that gets the copies"),
  percent: percent().default(1).describe("share of the requests that are copied"),
  host: z
    .string()
    .regex(/^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/, "wanted a host, with or without a port")
    .optional()
    .describe("Host of the copies; without it the request's own, with -shadow behind its name"),
  bodyBytes: size({ maxBytes: 1024 * 1024 })
    .default(64 * 1024)
    .describe("largest body that is copied, others are not mirrored"),
  timeout: duration({ maxMs: 600_000 })
    .default(15_000)
    .describe("how long a copy may take, its answer included"),
});

type Options = z.output<typeof options>;

export default defineFilter({
  name: "mirror",
  summary: "Sends copies of requests to another service, and drops the answers",
  options,
  upstream: (given, tools) => {
    let copies: Copies | null = null;
    return async (call, send) => {
      copies ??= new Copies(given, tools, call.route);
      if (tools.random.fraction() >= given.percent) return send();
      const body = await bodyOf(call, given.bodyBytes);
      const answer = send();
      copies.send(call, body);
      return answer;
    };
  },
});

/** Of which there is none, or which is larger than may be copied. */
type CopiedBody = Uint8Array<ArrayBuffer> | "none" | "too large";

async function bodyOf(call: Call, bytesMax: number): Promise<CopiedBody> {
  const { request } = call;
  if (request.body === null) return "none";
  if (!(await call.replayable(bytesMax))) return "too large";
  return (await request.bytes()) as Uint8Array<ArrayBuffer>;
}

class Copies {
  readonly #options: Options;
  readonly #tools: Tools;
  readonly #route: string;
  /** Also those of the generation before. */
  readonly #underWay: { count: number };

  constructor(given: Options, tools: Tools, route: string) {
    this.#options = given;
    this.#tools = tools;
    this.#route = route;
    this.#underWay = keptCount(tools, `copies of ${route}`);
  }

  send(call: Call, body: CopiedBody): void {
    if (body === "too large") this.#drop("body");
    else if (this.#underWay.count >= copiesMax) this.#drop("busy");
    else this.#start(call, body === "none" ? null : body);
  }

  #start(call: Call, body: Uint8Array<ArrayBuffer> | null): void {
    const { to, timeout } = this.#options;
    const giveUp = new AbortController();
    let underWay = true;
    const end = (result: "answered" | "failed" | "timeout") => {
      if (!underWay) return;
      underWay = false;
      cancel();
      this.#underWay.count--;
      this.#tools.metrics.count("mirror_sent", { route: this.#route, result });
    };
    const cancel = this.#tools.clock.after(timeout, () => {
      end("timeout");
      giveUp.abort();
    });
    this.#underWay.count++;
    Promise.resolve()
      .then(() => this.#tools.call(to, this.#copy(call, { body, signal: giveUp.signal })))
      .then(readToEnd)
      .then(
        () => end("answered"),
        () => end("failed"),
      );
  }

  #copy(call: Call, init: RequestInit): Request {
    const copy = call.copy();
    const url = new URL(copy.url);
    if (this.#options.host === undefined) url.hostname = shadowOf(url.hostname);
    else url.host = this.#options.host;
    return new Request(url, { ...init, method: copy.method, headers: copy.headers });
  }

  #drop(why: "body" | "busy"): void {
    this.#tools.metrics.count("mirror_dropped", { route: this.#route, why });
  }
}

/** A worker keeps some thousand values; where it has no room, a generation counts for itself. */
function keptCount(tools: Tools, key: string): { count: number } {
  const make = () => ({ count: 0 });
  try {
    return tools.keep(key, make);
  } catch {
    return make();
  }
}

/** As Envoy marks a copy. An address in brackets can have no more letters. */
function shadowOf(host: string): string {
  return host.startsWith("[") ? "shadow" : `${host}-shadow`;
}

async function readToEnd({ body }: Response): Promise<void> {
  const reader = body?.getReader();
  while (reader !== undefined && !(await reader.read()).done);
}
