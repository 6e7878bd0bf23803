/** Test doubles for filters: tools that record what a filter does, and Hono's own app around it. */
import { type Context, Hono } from "hono";
import type { Random } from "../../src/machine.ts";
import { leaseLimit } from "../../src/runtime/limits.ts";
import { NodeMemory } from "../../src/runtime/node-memory/index.ts";
import { privateMemory } from "../../src/runtime/node-memory/private-memory.ts";
import type {
  Appender,
  Bindings,
  Counter,
  FilterBindings,
  FilterDefinition,
  FilterEnvironment,
  Log,
  LogFields,
  LogLevel,
  Middleware,
  RequestSummary,
  Tools,
} from "../../src/types.ts";
import { VirtualClock } from "../virtual-clock.ts";

export interface TestTools extends Tools {
  /** Lines by the file that they went to. */
  readonly lines: Map<string, string[]>;
  readonly logged: { readonly level: LogLevel; readonly message: string; readonly fields: LogFields }[];
  /** Counts by name and labels: `refused`, `refused {"by":"ip"}`. */
  readonly counts: Map<string, number>;
  readonly observed: { readonly name: string; readonly milliseconds: number }[];
  /** What the generation's end would run. */
  close(): void;
}

/** Everything that a filter may need; a member that a test does not give refuses to be used where it would reach outside. */
export function testTools(given: Partial<Tools> = {}): TestTools {
  const lines = new Map<string, string[]>();
  const logged: TestTools["logged"] = [];
  const counts = new Map<string, number>();
  const observed: TestTools["observed"] = [];
  const kept = new Map<string, unknown>();
  const shared = new Map<string, Counter>();
  const closers: (() => void)[] = [];
  const { clock = new VirtualClock() } = given;
  const share = new NodeMemory(privateMemory(), countingRandom()).share(0);
  return {
    lines,
    logged,
    counts,
    observed,
    close: () => closers.forEach((run) => void run()),
    log: recordingLog(logged),
    id: "tested",
    scope: "web/orders",
    clock,
    random: countingRandom(),
    metrics: {
      count(name, labels) {
        const key = labels === undefined ? name : `${name} ${JSON.stringify(labels)}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      },
      observe: (name, milliseconds) => void observed.push({ name, milliseconds }),
    },
    keep<T>(key: string, make: () => T): T {
      if (!kept.has(key)) kept.set(key, make());
      return kept.get(key) as T;
    },
    shared(key) {
      const known = shared.get(key);
      if (known !== undefined) return known;
      const counter = plainCounter();
      shared.set(key, counter);
      return counter;
    },
    limit: (key, rules) =>
      leaseLimit({ share, clock, dropped: () => {} }, { table: key, scope: "" }, rules).limit,
    inFlight: (key) => share.inFlight(key)!.value,
    file: (path) => recordingAppender(lines, path),
    onClose: (run) => void closers.push(run),
    call: (service) => Promise.reject(new Error(`the test gave no answer for a call of ${service}`)),
    fetch: (url) => Promise.reject(new Error(`the test gave no answer for ${url}`)),
    connect: () => Promise.reject(new Error("the test gave nothing to connect to")),
    ...given,
  };
}

function plainCounter(): Counter {
  const counter = {
    value: 0,
    add: (amount: number) => (counter.value += amount),
    swap(expected: number, value: number) {
      const was = counter.value;
      if (was === expected) counter.value = value;
      return was;
    },
  };
  return counter;
}

function countingRandom(): Random {
  let ids = 0;
  return {
    fraction: () => 0.5,
    id: () => {
      ids += 1;
      return ids.toString(16).padStart(32, "0");
    },
  };
}

function recordingAppender(lines: Map<string, string[]>, path: string): Appender {
  const written = lines.get(path) ?? [];
  lines.set(path, written);
  return { dropped: 0, line: (text) => void written.push(text) };
}

function recordingLog(logged: TestTools["logged"]): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      void logged.push({ level, message, fields });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** The filter as a generation would make it: its options read by its own schema. */
export function createMiddleware(definition: FilterDefinition, options: unknown, tools: Tools): Middleware {
  if (definition.middleware === undefined) throw new Error(`${definition.name} is an upstream filter`);
  return definition.middleware(definition.options.parse(options), tools);
}

export interface TestEnv extends FilterBindings {
  /** The answer is on its way out past all filters. */
  passOut(answer: Response): void;
  /** The last byte of the answer left. */
  finish(summary?: Partial<RequestSummary>): void;
}

export function testEnv(given: Partial<Bindings> = {}): TestEnv {
  const reports: ((summary: RequestSummary) => void)[] = [];
  const changes: ((answer: Response) => void)[] = [];
  return {
    remoteAddress: "203.0.113.7",
    identity: null,
    listener: "web",
    route: "orders",
    finished: (report) => void reports.push(report),
    onAnswer: (change) => void changes.unshift(change),
    passOut(answer) {
      for (const change of changes.splice(0)) change(answer);
    },
    finish(summary = {}) {
      for (const report of reports.splice(0)) report({ ...plainSummary, ...summary });
    },
    ...given,
  };
}

const plainSummary: RequestSummary = {
  listener: "web",
  route: "orders",
  service: "orders",
  endpoint: "10.0.0.1:9000",
  status: 200,
  reason: null,
  attempts: 1,
  durationMs: 12.3456,
  requestBytes: 0,
  responseBytes: 2,
  complete: true,
};

/** An app of these filters in this order; `answer` stands for the service and sees the request as it was forwarded. */
export function appOf(
  middlewares: readonly Middleware[],
  answer: (c: Context<FilterEnvironment>) => Response | Promise<Response> = () => new Response("ok"),
): Hono<FilterEnvironment> {
  const app = new Hono<FilterEnvironment>();
  app.use(async (c, next) => {
    await next();
    (c.env as Partial<TestEnv>).passOut?.(c.res);
  });
  for (const middleware of middlewares) app.use(middleware);
  app.all("*", answer);
  return app;
}
