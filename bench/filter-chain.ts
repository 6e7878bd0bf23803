/**
 * What filters cost in one process without sockets: CPU nanoseconds per request, median of nine rounds (lowest and highest
 * beside it). `bun bench/filter-chain.ts [calls per round]`; design section 7 wants about 1.1 us for Hono's dispatch
 * with three trivial middlewares.
 */
import { Hono } from "hono";
import type { Router } from "hono/router";
import { compileChain } from "../src/runtime/chain.ts";
import { installGlobals } from "../src/runtime/fetch/globals.ts";
import { NativeRequest, NativeResponse, NativeStream } from "../src/runtime/fetch/natives.ts";
import { outgoingRequest, outgoingResponse } from "../src/runtime/fetch/outgoing.ts";
import { lightRequest } from "../src/runtime/fetch/request.ts";
import { lightResponse } from "../src/runtime/fetch/response.ts";
import { FilterGuard } from "../src/runtime/filter-guard.ts";
import type { BodySource, FieldTable, Log, Meters, Middleware } from "../src/types.ts";
import { passThrough, type TestEnd } from "../test/runtime/chain-app.ts";
import { fieldTable } from "../test/runtime/fetch/messages.ts";

const ROUNDS = 9;
const calls = Number(process.argv[2] ?? 1_000_000);

const nothing = () => {};
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const meters = { filter: nothing, count: nothing, observe: nothing } as unknown as Meters;
const clock = { now: () => performance.now(), epochMs: Date.now, after: () => nothing, every: () => nothing };
const signal = new AbortController().signal;
const body: BodySource = { lengthBytes: 5, pipe: nothing, pause: nothing, resume: nothing, cancel: nothing };
const asked = fieldTable([
  "Host: shop.example",
  "User-Agent: wrk",
  "Accept: */*",
  "X-Request-Id: 0123456789abcdef",
]);
const answered = fieldTable([
  "Date: Mon, 23 Nov 2026 00:00:00 GMT",
  "Content-Type: text/plain",
  "Content-Length: 5",
]);

class Asked {
  readonly method = "GET";
  readonly fields: FieldTable = asked;
  readonly body = null;
  readonly signal = signal;
  get url(): string {
    return `http://shop.example${"/a/b?c=d"}`;
  }
}
class Answered {
  readonly status = 200;
  readonly reason = "OK";
  readonly fields: FieldTable = answered;
  readonly body = body;
}

const end: TestEnd = {
  path: "/a/b",
  forward(request) {
    outgoingRequest(request, request);
    return lightResponse(new Answered());
  },
};

const trivial: Middleware = async (_, next) => {
  await next();
};
const reads: Middleware = async (c, next) => {
  c.req.header("x-request-id");
  await next();
};
const setsHeaders: Middleware = async (c, next) => {
  await next();
  c.res.headers.set("x-took", "1");
};
const callsHeader: Middleware = async (c, next) => {
  await next();
  c.header("x-took", "1");
};

const rows: readonly (readonly [string, readonly Middleware[]])[] = [
  ["no middleware", []],
  ["1 trivial", [trivial]],
  ["3 trivial", [trivial, trivial, trivial]],
  ["reads a header, c.res.headers.set, trivial", [reads, setsHeaders, trivial]],
  ["reads a header, c.header() after next(), trivial", [reads, callsHeader, trivial]],
];

/** The bare Hono app of the chain, without the guards around each filter. */
function bareApp(
  middlewares: readonly Middleware[],
  last: TestEnd = end,
): (request: Request) => Promise<Response> {
  const handlers: [never, object][] = [];
  const router = {
    name: "fixed",
    add: (_method: string, _path: string, handler: never) => void handlers.push([handler, {}]),
    match: () => [handlers],
  };
  const app = new Hono<{ Bindings: TestEnd }>({
    router: router as unknown as Router<never>,
    getPath: () => "/",
  });
  for (const middleware of middlewares) app.use(middleware as never);
  app.all("*", (c) => c.env.forward(c.req.raw, c as never));
  return async (request) => app.fetch(request, last);
}

function guardedChain(middlewares: readonly Middleware[]): (request: Request) => Promise<Response> {
  const entry = {
    name: "bench",
    id: null,
    onError: "fail",
    options: {},
    place: { file: "", line: 0 },
  } as const;
  const filters = middlewares.map((run) => ({
    name: "bench",
    middleware: new FilterGuard(entry, { clock, meters, version: "" }, log).downstream(run),
    upstream: null,
    repeats: false,
    stillAllows: null,
    blame: String as never,
    close: nothing,
  }));
  const chain = compileChain(filters);
  if (chain === null) return async (request) => end.forward(request, {} as never);
  return (request) => passThrough(chain, request, end);
}

async function measure(name: string, run: () => unknown, times = calls): Promise<void> {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < times; i++) await run();
    const { user, system } = process.cpuUsage(start);
    // The first round is for the compiler.
    if (round > 0) rounds.push(((user + system) * 1000) / times);
  }
  rounds.sort((a, b) => a - b);
  const [lowest, median, highest] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) =>
    rounds[i]!.toFixed(0).padStart(6),
  );
  console.log(`${name.padEnd(64)} ${median} ns  (${lowest} to ${highest})`);
}

for (const [name, middlewares] of rows) {
  const run = bareApp(middlewares, { ...end, forward: realResponse });
  await measure(`Hono alone, real pair: ${name}`, () => run(realRequest()), calls / 10);
}
installGlobals();
await measure("the loop itself", () => undefined);
await measure("a lightweight Request and Response", () => [
  lightRequest(new Asked()),
  lightResponse(new Answered()),
]);
await measure("a real Request and Response", realPair, calls / 10);
await measure("a real stream that nobody reads", realStream, calls / 10);
await measure("the body's stand-in that nobody reads", () => lightResponse(new Answered()).body);
for (const [kind, make] of [
  ["Hono alone", bareApp],
  ["the chain", guardedChain],
] as const) {
  for (const [name, middlewares] of rows) {
    const run = make(middlewares);
    await measure(`${kind}: ${name}`, async () => outgoingResponse(await run(lightRequest(new Asked()))));
  }
}

function realRequest(): Request {
  return new NativeRequest("http://shop.example/a/b?c=d", {
    headers: [["x-request-id", "0123456789abcdef"]],
  });
}

function realResponse(): Response {
  return new NativeResponse("hello", { headers: [["content-type", "text/plain"]] });
}

function realPair(): unknown {
  return [realRequest(), realResponse()];
}

function realStream(): unknown {
  return new NativeStream({ pull: nothing, cancel: nothing }, { highWaterMark: 0 });
}
