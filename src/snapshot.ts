/**
 * The nouns of a checked configuration, types only: what config/ makes, what crosses from the supervisor to its
 * workers, and what the runtime compiles. Plain data, every default filled in.
 */
import type { PluginCode } from "./filter-lookup.ts";
import type { Address } from "./machine.ts";
import type { LogLevel } from "./types.ts";

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

/** Where something is, or will be, wrong. */
export type ProblemSpot = Omit<Problem, "message" | "hints">;

/** What users' code does next: it may never come back from it. */
export type TrialWork = "reading" | "loading" | "checking" | "creating";

export interface TrialStep {
  readonly work: TrialWork;
  /** The filter's, as in the snapshot. */
  readonly name: string;
  readonly at: ProblemSpot;
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
  /** From a connection to the end of its TLS handshake. */
  readonly handshakeTimeoutMs: number;
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
  /** Whose `*` that is, where it is not the route's own match. */
  readonly match?: RouteMatch;
}

/** Where a share of a route's requests goes. */
export interface ForwardTarget {
  readonly service: string;
  /** Of its endpoints only those of this version; null for all. */
  readonly version: string | null;
  readonly weight: number;
  /**
   * Rules of its own for this share, which all targets of a route have, or none: the routes among which such a request is
   * matched once more; the last one takes what is left. Their filters stand inside of the outer route's, which are not
   * repeated here.
   */
  readonly routes?: readonly RouteConfig[];
}

export type RouteAction =
  | {
      readonly kind: "forward";
      readonly to: readonly ForwardTarget[];
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
  /** Whether its owner wrote that, and it is no default. */
  readonly timeoutSource?: "written";
  readonly action: RouteAction;
  readonly place: SourcePlace;
}

/** A certificate as a listener shows it, or as a node shows it to a service: PEM texts, so that it crosses processes. */
export interface CertificateConfig {
  /** The leaf, then what leads to the root. */
  readonly certificate: string;
  readonly key: string;
  /** Where the two were read, for messages. */
  readonly files: { readonly certificate: string; readonly key: string };
  /** The host names that the leaf is for, in lower case, `*.shop.example` among them. */
  readonly names: readonly string[];
  /** When the first certificate of the chain ends. */
  readonly expiresEpochMs: number;
  readonly place: SourcePlace;
}

/** One entry of a listener's `tls`. */
export interface ListenerCertificate extends CertificateConfig {
  /** PEM of the authorities whose client certificates are believed; null when none is asked for. */
  readonly clientCa: string | null;
  readonly clientCaFile: string | null;
  /** `optional` lets callers without a certificate pass, with no identity; one that is not believed is refused. */
  readonly clientAuth: "required" | "optional";
  readonly versionMin: "1.2" | "1.3";
}

/** What the callers of a listener may ask of it beside its routes, with CONNECT and with absolute targets. */
export interface ForwardProxyConfig {
  /** Whether they may reach hosts that are not in the mesh. */
  readonly egress: "allow" | "deny";
}

export interface ListenerConfig {
  readonly name: string;
  readonly bind: Address;
  readonly protocol: "http" | "https";
  /** For `https` at least one, in the config's order: the first is for callers that name no host, or an unknown one. */
  readonly tls: readonly ListenerCertificate[];
  /**
   * `mesh` admits only who proves to be a service of the mesh; `mesh-or-plain` beside those callers without TLS, who are
   * nobody. Both need `https` and a `clientCa`.
   */
  readonly callers: "anyone" | "mesh" | "mesh-or-plain";
  readonly trustedHops: number;
  /** Null unless it is its callers' HTTP proxy too. */
  readonly proxy: ForwardProxyConfig | null;
  readonly limits: MessageLimits;
  readonly filters: readonly FilterEntry[];
  readonly routes: readonly RouteConfig[];
  readonly place: SourcePlace;
}

export interface EndpointConfig {
  readonly address: Address;
  readonly weight: number;
  readonly zone: string | null;
  /** Of what runs there: a route may send a share of its requests to one version only. */
  readonly version: string | null;
}

/** What requests are spread by, or what a limit counts by. */
export type RequestKey =
  | { readonly by: "ip" | "route" | "identity" }
  | { readonly by: "header" | "cookie" | "query" | "claim"; readonly name: string };

export type LoadBalancing =
  | { readonly policy: "least-latency" | "round-robin" | "least-request" | "random" }
  | { readonly policy: "ring-hash"; readonly key: RequestKey };

/** Names that are resolved again and again; their answers arrive as `ServiceState`. */
export interface DnsConfig {
  readonly name: string;
  /** Null for SRV records, which name ports themselves. */
  readonly port: number | null;
  readonly records: "address" | "srv";
  /** Bounds on the records' own time to live. */
  readonly refreshMinMs: number;
  readonly refreshMaxMs: number;
}

/** Who is asked for names. */
export interface ResolverConfig {
  /** IP addresses; empty for those of this machine's /etc/resolv.conf. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** Of one try. */
  readonly timeoutMs: number;
}

/** What the supervisor asks an endpoint; a status of 200 to 399 within the time says that it is well. */
export interface HealthCheckConfig {
  /** Null asks for a connection only. */
  readonly path: string | null;
  /** The Host that it sends; null for the endpoint's address. */
  readonly host: string | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Answers in a row that change the verdict. */
  readonly healthy: number;
  readonly unhealthy: number;
}

/** An endpoint that keeps failing gets nothing for a while, twice as long each time. */
export interface OutlierDetectionConfig {
  readonly consecutiveErrors: number;
  readonly ejectionMs: number;
  readonly ejectionMaxMs: number;
  /** 0 to 1: at most this share of the endpoints at a time. */
  readonly ejectedShareMax: number;
}

/** How a service's connections are encrypted. */
export interface ServiceTls {
  /** PEM of the authorities that are believed; null for the host's own list. */
  readonly ca: string | null;
  readonly caFile: string | null;
  /** Whom the certificate must name, and what SNI says; null for the endpoint's host name. */
  readonly serverName: string | null;
  readonly verification: "full" | "none";
  /** The one identity that its certificate must have besides; null for any. */
  readonly identity: string | null;
  /** What this node shows of itself; null for nothing. */
  readonly certificate: CertificateConfig | null;
}

export interface ServiceConfig {
  readonly name: string;
  /** Empty where `dns` or `registry` names them. */
  readonly endpoints: readonly EndpointConfig[];
  readonly dns: DnsConfig | null;
  /** The service as the mesh's registry knows it, where that says who its endpoints are; never beside `dns`. */
  readonly registry: string | null;
  /** With `registry`: what its owner wrote, `limits.pending` and `loadBalancing`; the rest are defaults. */
  readonly written?: readonly string[];
  readonly loadBalancing: LoadBalancing;
  /** A new endpoint gets its full share only after this long; 0 for at once. */
  readonly slowStartMs: number;
  /** 0 to 1: where a smaller share of the endpoints is well, all of them are used, well or not. */
  readonly panicShare: number;
  readonly healthCheck: HealthCheckConfig | null;
  readonly outlierDetection: OutlierDetectionConfig | null;
  readonly tls: ServiceTls | null;
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number };
  readonly timeouts: { readonly connectMs: number; readonly idleMs: number };
  readonly messageLimits: MessageLimits;
  readonly place: SourcePlace;
}

/**
 * What the node knows about a service beside its config: it changes without a new snapshot, crosses from the
 * supervisor to the workers, and is complete each time.
 */
export interface ServiceState {
  readonly service: string;
  /** Where discovery names the endpoints, else null: those of the config. */
  readonly discovered: readonly EndpointConfig[] | null;
  /** Why there is no discovered endpoint, in words; null when there is one, or none is wanted. */
  readonly discoveryProblem: string | null;
  /** By the endpoints' addresses as text: those that fail the node's own checks, or are registered so. */
  readonly unhealthy: readonly string[];
  /** Ejected by another worker of this node, with the end of it. */
  readonly ejected: readonly { readonly endpoint: string; readonly untilEpochMs: number }[];
}

/** A worker's outlier detection took this endpoint out: its supervisor tells the other workers. */
export interface Ejection {
  readonly service: string;
  /** Its address as text. */
  readonly endpoint: string;
  readonly untilEpochMs: number;
}

/** What a node in a mesh knows of it. */
export interface MeshPlace {
  readonly trustDomain: string;
  /** This node's own. */
  readonly identity: string;
  /** Identities of services that were removed: refused although their certificates are right. */
  readonly removed: readonly string[];
}

/** The mesh that a node joins, as its config says. */
export interface MeshMembership {
  /** Without a slash at the end; tried in this order. */
  readonly coordinators: readonly string[];
  /** What the node is there. */
  readonly service: string;
  /** Null for the token of the environment. */
  readonly tokenFile: string | null;
  readonly stateFolder: string;
  readonly place: SourcePlace;
}

/** One complete, checked, immutable configuration. It crosses process borders: plain data only. */
export interface Snapshot {
  /** Grows by one with every snapshot of this supervisor. */
  readonly version: number;
  /** The main config file's, as it was named; empty for the current one. Packages are looked for from here. */
  readonly folder: string;
  readonly admin: Address;
  readonly drainMs: number;
  /** Where this node stands; its own zone's endpoints come first. */
  readonly zone: string | null;
  /** Open downstream connections of the whole node. */
  readonly connectionsMax: number;
  /** Of one worker, as the system counts it; above it the worker is replaced. */
  readonly workerMemoryBytes: number;
  readonly paths: PathPolicy;
  readonly resolver: ResolverConfig;
  /** Null outside of a mesh. */
  readonly mesh: MeshPlace | null;
  readonly log: { readonly level: LogLevel; readonly format: "json" | "text" };
  readonly listeners: readonly ListenerConfig[];
  readonly services: readonly ServiceConfig[];
  /** Null for a node whose config names no mesh. */
  readonly membership: MeshMembership | null;
  /** The users' own filters that it names. */
  readonly plugins: readonly PluginCode[];
}
