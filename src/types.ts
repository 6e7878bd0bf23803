/**
 * The nouns of Clearway, types only, in the order in which a request meets them: a message head, a body, the filters
 * around a call, what is measured. The configuration's own nouns are in snapshot.ts, the machine's in machine.ts.
 */
import type { MiddlewareHandler } from "hono";
import type { z } from "zod";
import type { Address, ByteSocket, Clock, Random } from "./machine.ts";

// ---- a message: head and body, before anything became a string ----

/** Header fields as they came: offsets over the bytes of one head, four for each field. */
export interface FieldTable {
  readonly bytes: Buffer;
  /** Field i: name [4i, 4i+1), value [4i+2, 4i+3) without the white space around it. */
  readonly offsets: Int32Array;
  readonly count: number;
}

/** A request as the matcher and the filters see it; the path is the one that will be forwarded. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Host and port as the caller named them; empty for an HTTP/1.0 request without Host. */
  readonly authority: string;
  /** The authority's host in lower case, without port. */
  readonly host: string;
  /** Begins with "/" (or is "*"), after the path policy was applied; still percent-encoded. */
  readonly path: string;
  /** What follows "?", without it; empty when there is none. */
  readonly query: string;
  readonly fields: FieldTable;
}

/** The bytes of a body on their way; one reader, once. */
export interface BodySource {
  /** Bytes to come when the framing told; null when only the end will tell. */
  readonly lengthBytes: number | null;
  /** Begins delivery; may deliver what is already here before it returns. */
  pipe(sink: BodySink): void;
  pause(): void;
  resume(): void;
  /** The rest is not wanted: whoever sends it is told as its protocol can. */
  cancel(): void;
}

export interface BodySink {
  /** Takes bytes[start, end) at once; a sink that is full pauses the source itself. */
  data(bytes: Buffer, start: number, end: number): void;
  /**
   * Whether the bytes that the last `data` was given are read by nobody any more, so that their memory may be used again.
   * Where a part of them still waits to be sent, `owner` is told when that left, if ever. A sink without it may keep the
   * bytes for as long as it likes.
   */
  hasSpent?(bytes: Buffer, owner: ChunkOwner): boolean;
  /** The body is whole. */
  end(trailers: FieldTable | null): void;
  /** The body will never be whole. */
  fail(failure: Failure): void;
}

/** Whoever gave a chunk to a sink, and reads it no more. */
export interface ChunkOwner {
  /** Nobody does. */
  reclaim(chunk: Buffer): void;
}

/** A failure while moving a message. One table (runtime/failures.ts) maps kinds to statuses and reasons. */
export interface Failure extends Error {
  readonly kind: string;
  readonly side: "upstream" | "downstream" | "mesh";
  /** Whether nothing of the request can have had an effect, so that sending it again is safe. */
  readonly retryable: boolean;
}

// ---- filters ----

/** What a downstream filter finds in `c.env`: facts of the connection and of the match. */
export interface Bindings {
  /** The caller's address: the socket's, or the one that the trusted hops name. */
  readonly remoteAddress: string;
  /** The identity that mTLS proved; null without one. */
  readonly identity: string | null;
  readonly listener: string;
  /** Null when no route matched. */
  readonly route: string | null;
  /** Calls back once, when the last byte of the answer left or never will. */
  finished(report: (summary: RequestSummary) => void): void;
}

/** The same for filters of a route. */
export interface FilterBindings extends Bindings {
  /**
   * Calls back with the answer (`c.res`) on its way out past this filter. To be asked before `next()`, by a filter that
   * returns what that gives. It does what code behind `await next()` would, and costs no promise.
   */
  onAnswer(change: AnswerChange): void;
}

export type AnswerChange = (answer: Response) => void;

/** Values that filters hand to later filters (`c.set`, `c.get`). */
export type Variables = Record<string, unknown>;

/** Hono's environment in every Clearway filter. */
export interface FilterEnvironment {
  Bindings: FilterBindings;
  Variables: Variables;
}

/** A request that was let in some time ago, and is under way. */
export interface RequestUnderWay {
  readonly identity: string | null;
  readonly method: string;
  /** As it was forwarded. */
  readonly path: string;
}

export type Middleware = MiddlewareHandler<FilterEnvironment> & {
  /**
   * Whether such a request would be let in now. When a new config goes live, this is asked of what takes long - upgraded
   * connections, bodies that still stream - by the listener's filters and those of the route that would take it now; what
   * one of them would not let in ends.
   */
  readonly stillAllows?: (request: RequestUnderWay) => boolean;
};

/** One call to a service, as an upstream filter sees it. */
export interface Call {
  readonly request: Request;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Clock time (`tools.clock.now()`) at which the route's timeout ends. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly route: string;
  readonly service: string;
  readonly vars: Variables;
  /** Whether the request can be sent again: true when its body is absent or at most `bytesMax` and now held. */
  replayable(bytesMax: number): Promise<boolean>;
  /**
   * The request as the service gets it, rewritten and with what a proxy adds, but no body: for `tools.call`, and to be
   * sent `detached`. Can be made while the caller waits, not later.
   */
  copy(): Request;
}

/** What one sending may change against the call. */
export interface SendChange {
  request?: Request;
  service?: string;
  /** To endpoints of this version only. */
  version?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
  /**
   * Nothing of the caller's: the sending goes on when its request is over, until `signal` says otherwise. `request` is
   * what `call.copy()` made; it goes through the filters further inside, and is sent as it is.
   */
  detached?: true;
}

export type Send = (change?: SendChange) => Promise<Response>;
export type UpstreamFilter = (call: Call, send: Send) => Promise<Response>;

/** A whole number kept for the node, exact over its workers. */
export interface Counter {
  /** Adds (or, negative, subtracts) and returns the new value. */
  add(amount: number): number;
  /** Sets it to `value` if it is `expected` at that moment; returns what it was. */
  swap(expected: number, value: number): number;
  readonly value: number;
}

/** How many may pass: a bucket of `burst`, which fills again by `requests` in each `perMs`. */
export interface LimitRules {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
  /** Keys that can be told apart at the same time, at most 500,000; beyond, those that owe least are forgotten. */
  readonly keys: number;
}

export interface Limit {
  /** Lets one more pass for this key, or not. */
  take(key: string): Taken;
}

export interface Taken {
  readonly allowed: boolean;
  /** How many more could pass at this moment. */
  readonly remaining: number;
  /** Until one could pass again; 0 when this one did. */
  readonly retryAfterMs: number;
  /** Until one more could pass than now. */
  readonly resetMs: number;
}

/** What is under way. */
export interface InFlight {
  /** Counts one more, unless that makes more than `max`. */
  enter(max: number): boolean;
  leave(): void;
  readonly open: number;
}

/** Writes lines in the background; at most `bytesMax` wait, further lines are dropped and counted. */
export interface Appender {
  line(text: string): void;
  readonly dropped: number;
}

/** What a filter may touch besides its request: all of it given, so that it can be read and tested alone. */
export interface Tools {
  /** The `id` of the filter's entry in the config, else the filter's name. */
  readonly id: string;
  /** The listener or route that has the entry, `web/orders`; empty for an entry with an `id`, which may be on several. */
  readonly scope: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: FilterMetrics;
  /** A value per worker that survives a reload; `make` runs when there is none under this key. */
  keep<T>(key: string, make: () => T): T;
  shared(key: string): Counter;
  /**
   * A limit that holds for the node, over its workers, and over reloads that leave its rules as they are. It belongs to
   * the route (or listener) that the filter stands on; filters that have the same `id` share it.
   */
  limit(key: string, rules: LimitRules): Limit;
  /** The same for what is under way; what a worker that is killed had under way is not counted any more. */
  inFlight(key: string): InFlight;
  /** Through that service's balancer, with its limits and metrics; the request's signal gives it up. */
  call(service: string, request: Request): Promise<Response>;
  /** To the outside: follows no redirect, uses no proxy. */
  fetch(url: string, init?: RequestInit): Promise<Response>;
  connect(address: Address): Promise<ByteSocket>;
  /** "stdout", "stderr" or a path. */
  file(path: string): Appender;
  /** Runs when the generation that made this filter retires. */
  onClose(run: () => void): void;
}

export interface FilterMetrics {
  /** Counts under `clearway_filter_<name>_total`; label values are bounded by the series limit. */
  count(name: string, labels?: Readonly<Record<string, string>>): void;
  /** Observes milliseconds under `clearway_filter_<name>_seconds`. */
  observe(name: string, milliseconds: number): void;
}

interface FilterBase<Options> {
  /** Its name in YAML. */
  readonly name: string;
  /** One line for the reference. */
  readonly summary: string;
  readonly options: z.ZodType<Options>;
  /** Of its code, where that is not the program's own: set by who loads it. */
  readonly version?: string;
}

/** Code in the request path; exactly one of the two shapes. */
export type FilterDefinition<Options = unknown> = FilterBase<Options> &
  (
    | {
        readonly middleware: (options: Options, tools: Tools) => Middleware;
        readonly upstream?: never;
        readonly repeats?: never;
      }
    | {
        readonly upstream: (options: Options, tools: Tools) => UpstreamFilter;
        readonly middleware?: never;
        readonly repeats?: true;
      }
  );

/** Every filter that a config may name, by name. */
export type FilterRegistry = ReadonlyMap<string, FilterDefinition>;

// ---- what is measured and said ----

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** One request, after it ended. */
export interface RequestSummary {
  readonly listener: string;
  readonly route: string | null;
  readonly service: string | null;
  readonly endpoint: string | null;
  readonly status: number;
  /** The code of `x-clearway-reason` when Clearway made the answer, else null. */
  readonly reason: string | null;
  /** Tries, the first included; 0 when no service was called. */
  readonly attempts: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** False when the answer was cut short. */
  readonly complete: boolean;
}

/** Counts what one route of one listener answered. */
export interface RouteMeter {
  record(service: string, method: string, status: number, reason: string, durationMs: number): void;
}
/** Counts what one endpoint of one service answered; status 0 when it did not. */
export interface EndpointMeter {
  record(status: number, durationMs: number): void;
}
/** The endpoints of one service, as one worker sees them; one that is unhealthy and ejected counts as unhealthy. */
export interface EndpointCounts {
  readonly healthy: number;
  readonly unhealthy: number;
  readonly ejected: number;
}
/** Where the runtime puts its measurements; telemetry/ is behind it. */
export interface Meters {
  route(listener: string, route: string): RouteMeter;
  endpoint(service: string, endpoint: string): EndpointMeter;
  /** As they are now; null when there is no such service any more. */
  endpoints(service: string, counts: EndpointCounts | null): void;
  connections(side: "downstream" | "upstream", change: 1 | -1): void;
  /** How long a filter's own code ran, downstream and upstream parts together. */
  filter(name: string, version: string, durationMs: number): void;
  count(name: string, help: string, labels?: Readonly<Record<string, string>>): void;
  observe(name: string, help: string, milliseconds: number): void;
}
