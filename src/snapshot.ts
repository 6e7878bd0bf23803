/**
 * The nouns of a checked configuration, types only: what config/ makes, what crosses from the supervisor to its
 * workers, and what the runtime compiles. Plain data, every default filled in.
 */
import type { Address, LogLevel } from "./types.ts";

/** A place in a config file, for messages: `clearway.yaml:14`. */
export interface SourcePlace {
  readonly file: string;
  readonly line: number;
}

/** One thing wrong with a config. `path` is empty when it concerns the whole file. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** e.g. `listeners.web.routes[1].filters[0].rate-limit.per` */
  readonly path: string;
  /** What was read and what was wanted, in one line. */
  readonly message: string;
  /** Further lines: the nearest known name, the other place, the lines to swap. */
  readonly hints: readonly string[];
  /** The line of the file, and how many of its characters from `column` on are meant. */
  readonly excerpt: { readonly text: string; readonly length: number } | null;
}

/** Limits on what a listener's callers may send, and (the same fields) on what services may answer. */
export interface MessageLimits {
  readonly headerBytes: number;
  readonly headerFields: number;
  readonly requestLineBytes: number;
  readonly trailerBytes: number;
  /** Extensions of one chunk, and of all chunks of one message. */
  readonly chunkExtensionBytes: number;
  readonly messageExtensionBytes: number;
  /** Per direction: a source is paused above high and resumed below low. */
  readonly bufferHighBytes: number;
  readonly bufferLowBytes: number;
  /** From the first moment in which a head is awaited to its last byte. */
  readonly headerTimeoutMs: number;
  /** Between requests on one connection. */
  readonly idleTimeoutMs: number;
  /** No byte either way in a body, stream or upgraded connection. */
  readonly silenceTimeoutMs: number;
  /** For routes that set none: from the last byte of the request to the head of the answer. */
  readonly routeTimeoutMs: number;
  /** Open connections; a further one is refused. */
  readonly connections: number;
}

export interface PathPolicy {
  readonly dotSegments: "reject" | "resolve";
  readonly slashes: "keep" | "merge";
  readonly escapedSlash: "keep" | "reject" | "decode";
}

/** One way to write a value that a header or a query field must have. */
export type ValueMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "present" };

export interface NamedValueMatch {
  /** Header names in lower case. */
  readonly name: string;
  readonly match: ValueMatch;
}

export interface RouteMatch {
  /** Lower case: `shop.example`, `*.shop.example`; null for any. */
  readonly host: string | null;
  /** `/a/b`, `/a/:id`, `/a/*`; null for any. */
  readonly path: string | null;
  /** Empty for any. */
  readonly methods: readonly string[];
  readonly headers: readonly NamedValueMatch[];
  readonly query: readonly NamedValueMatch[];
}

export interface FilterEntry {
  readonly name: string;
  readonly id: string | null;
  readonly onError: "fail" | "open";
  /** As written; the filter's own schema reads it once more where it is created. */
  readonly options: unknown;
  readonly place: SourcePlace;
}

export interface Rewrite {
  /** `*` stands for what the match's `*` took. */
  readonly path: string | null;
  readonly host: string | null;
}

export type RouteAction =
  | {
      readonly kind: "forward";
      readonly to: readonly { readonly service: string; readonly weight: number }[];
      readonly rewrite: Rewrite;
    }
  | {
      readonly kind: "redirect";
      readonly scheme: string | null;
      readonly host: string | null;
      readonly path: string | null;
      readonly status: number;
    }
  | {
      readonly kind: "respond";
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly body: string;
    };

export interface RouteConfig {
  /** Unique in its listener; the `route` label of the metrics. */
  readonly name: string;
  readonly match: RouteMatch;
  /** The listener's filters are not repeated here. */
  readonly filters: readonly FilterEntry[];
  readonly timeoutMs: number;
  readonly action: RouteAction;
  readonly place: SourcePlace;
}

export interface ListenerConfig {
  readonly name: string;
  readonly bind: Address;
  readonly protocol: "http";
  readonly trustedHops: number;
  readonly limits: MessageLimits;
  readonly filters: readonly FilterEntry[];
  readonly routes: readonly RouteConfig[];
  readonly place: SourcePlace;
}

export interface EndpointConfig {
  readonly address: Address;
  readonly weight: number;
  readonly zone: string | null;
}

export interface ServiceConfig {
  readonly name: string;
  readonly endpoints: readonly EndpointConfig[];
  readonly loadBalancing: "least-latency" | "round-robin";
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number };
  readonly timeouts: { readonly connectMs: number; readonly idleMs: number };
  readonly messageLimits: MessageLimits;
  readonly place: SourcePlace;
}

/** One complete, checked, immutable configuration. It crosses process borders: plain data only. */
export interface Snapshot {
  /** Grows by one with every snapshot of this supervisor. */
  readonly version: number;
  readonly admin: Address;
  readonly drainMs: number;
  /** Open downstream connections of the whole node. */
  readonly connectionsMax: number;
  readonly paths: PathPolicy;
  readonly log: { readonly level: LogLevel; readonly format: "json" | "text" };
  readonly listeners: readonly ListenerConfig[];
  readonly services: readonly ServiceConfig[];
}
