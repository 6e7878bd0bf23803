/** What a filter's test can say and see, types only: `import { testFilter } from "clearway/plugin/test"`. */
import type { FilterDefinition, LogFields, LogLevel, RequestSummary, Variables } from "../types.ts";

/** One call of a service, as the function that stands for the service sees it. */
export interface ServiceCall {
  /** Which of the service's endpoints was called, from 0 on. */
  readonly endpoint: number;
  /** How many requests the service got, this one included. */
  readonly count: number;
  /** Lets so much time of the test's clock pass. */
  wait(durationMs: number): Promise<void>;
}

/** `reset` closes the connection without an answer; a body that fails half-way cuts the answer off. */
export type ServiceReply = Response | "reset";

/** Answers once the whole request is there. What it throws - a failed `expect` - fails the test's request. */
export type ServiceFunction = (request: Request, call: ServiceCall) => ServiceReply | Promise<ServiceReply>;

/**
 * What stands behind the filter: a Hono app, a function, or an endpoint that cannot be reached: `refused` refuses
 * connections at once, `silent` never answers to one.
 */
export type TestEndpoint =
  | { fetch(request: Request): Response | Promise<Response> }
  | ServiceFunction
  | "refused"
  | "silent";

/** A list has several endpoints, between which the balancer chooses. */
export type TestService = TestEndpoint | readonly TestEndpoint[];

/** Who calls. */
export interface TestCaller {
  /** 203.0.113.7 unless said. */
  readonly remoteAddress?: string;
  /** What mTLS proved of it, e.g. `spiffe://store.example/storefront`; nobody unless said. */
  readonly identity?: string | null;
}

export interface TestRequest extends RequestInit {
  readonly caller?: TestCaller;
}

/** As in a config: a name, or a map with a name and its options; `[filter, options]` for one of your own. */
export type FilterBeside =
  | string
  | Readonly<Record<string, unknown>>
  | readonly [filter: FilterDefinition, options?: unknown];

/** What may be said of the route, as in a config. */
export interface RouteSetting {
  readonly name?: string;
  readonly match?: Readonly<Record<string, unknown>>;
  /** e.g. `2s`; 15 s unless said. */
  readonly timeout?: string;
  readonly rewrite?: { readonly path?: string; readonly host?: string };
}

/** What surrounds the filter; all of it has a default. */
export interface TestSetting {
  /** The service of the route, `orders`; unless said it answers 200 with `ok`. */
  readonly service?: TestService;
  /** Further services, by name: for `tools.call`, `send({ service })` and options of the type `service()`. */
  readonly services?: Readonly<Record<string, TestService>>;
  readonly caller?: TestCaller;
  /** The listener's name; `web` unless said. */
  readonly listener?: string;
  readonly route?: RouteSetting;
  /** Whose `filters` it stands in; a listener's see requests that no route takes, too. `route` unless said. */
  readonly place?: "route" | "listener";
  /** Filters that run before and after it, in its list. */
  readonly before?: readonly FilterBeside[];
  readonly after?: readonly FilterBeside[];
  readonly onError?: "fail" | "open";
  /** What earlier filters set, e.g. `{ claims: { sub: "alice" } }` as `jwt` does. */
  readonly vars?: Variables;
  /** Answers `tools.fetch`; without it, such a call fails. */
  readonly fetch?: (request: Request) => Response | Promise<Response>;
  /** What `tools.random.fraction()` gives; without it a sequence that is the same in every test. */
  readonly random?: () => number;
  /**
   * `passes`: while a request waits for something that only time brings, time passes by itself. `stands`: only
   * `clock.advance` moves it. `passes` unless said.
   */
  readonly time?: "passes" | "stands";
  /** Errors in the log are also printed, so that a failing test says why; `kept` only keeps them. */
  readonly errors?: "printed" | "kept";
}

/** A request that a service got: as the filter and the proxy sent it. */
export interface ReceivedRequest {
  readonly service: string;
  /** From 0 on. */
  readonly endpoint: number;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: string;
  /** On the test's clock. */
  readonly atMs: number;
}

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestClock {
  /** Milliseconds; 0 when the test begins. */
  now(): number;
  epochMs(): number;
  /** Lets time pass, and what is due on the way happen. */
  advance(durationMs: number): Promise<void>;
}

/** A filter in a real chain, with everything around it in memory. */
export interface FilterTest<Options = unknown> extends AsyncDisposable {
  /**
   * What a caller gets: an answer whose head is there. `target` is a path, or an absolute URL where the host matters.
   * Rejects when there is no answer: the connection was reset, or the caller gave up by `signal`.
   */
  request(target: string, init?: TestRequest): Promise<Response>;
  /** What the services got, in the order in which it came. */
  readonly received: readonly ReceivedRequest[];
  /** What `tools.fetch` was asked. */
  readonly outside: readonly Request[];
  readonly clock: TestClock;
  /** The node's log; a filter's own lines have `filter` in their fields. */
  readonly logged: readonly LogLine[];
  /** One for each request that ended: what `c.env.finished` is told. */
  readonly ended: readonly RequestSummary[];
  /** What filters set by `c.set`, as it was after the last request. */
  readonly vars: Variables;
  /** How often `tools.metrics.count` counted this; with labels, only where all of these are. */
  counted(name: string, labels?: Readonly<Record<string, string>>): number;
  /** What `tools.metrics.observe` was given. */
  observed(name: string): readonly number[];
  /** What was written by `tools.file(path)`. */
  lines(path: string): readonly string[];
  /** As saving the config does: a new filter, with other options where they are given; the old one is closed. */
  reload(options?: Options): Promise<void>;
  /** Closes the filter (`tools.onClose`) and everything around it. */
  close(): Promise<void>;
}
