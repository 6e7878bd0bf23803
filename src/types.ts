/**
 * The nouns of Clearway, types only, in the order in which a request meets them: the host's sockets, a message
 * head, a body, the filters around a call, what is measured. The configuration's own nouns are in snapshot.ts.
 */
import type { MiddlewareHandler } from "hono";
import type { z } from "zod";

// ---- host: what a runtime (Bun, Node, Deno) must offer; passed as arguments, never imported ----

/** Milliseconds; monotonic unless it says epoch. Tests pass a virtual one. */
export interface Clock {
  now(): number;
  epochMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls back every `periodMs` until cancelled. */
  every(periodMs: number, run: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** A new unguessable id of 32 lower-case hexadecimal digits. */
  id(): string;
}

/** Where to listen or connect to. A unix path stands alone. */
export type Address = { readonly host: string; readonly port: number } | { readonly unixPath: string };

/** Who the other side of a TLS connection proved to be. */
export interface PeerCertificate {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Its parts as RFC 4514 orders them, e.g. `CN=storefront,O=Store`. */
  readonly subject: string;
}

/** What a TLS handshake agreed on and proved. */
export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** The protocol that ALPN chose (RFC 7301); null when the other side named none. */
  readonly alpn: string | null;
  /** Verified; null when none was shown, or none was asked for. */
  readonly peer: PeerCertificate | null;
}

/** PEM texts; null for what is not there. */
export interface TlsTexts {
  readonly certificate: string | null;
  readonly key: string | null;
  /** Who is believed; for a client, null means the host's own list. */
  readonly ca: string | null;
  readonly versionMin: "1.2" | "1.3";
}

/** Certificates made ready by a host, once, for many connections. */
export interface TlsContext {
  readonly native: unknown;
}

/** The server's side of a handshake, on a socket whose first bytes were read already. */
export interface TlsHandshake {
  readonly context: TlsContext;
  /** What the other side read of it: its ClientHello, perhaps with more. */
  readonly first: Buffer;
  readonly clientCertificate: "ignored" | "optional" | "required";
  /** The peer is proved, as far as was asked: who takes the secured socket? Its `onOpen` follows. */
  secured(facts: TlsFacts): SocketOwner;
  /** There will be no connection; nothing follows. */
  failed(error: SocketError): void;
}

/** The client's side. */
export interface TlsTarget {
  readonly context: TlsContext;
  /**
   * Whom the certificate must name, and what SNI says; null for the address's own host, which SNI does not say when it
   * is an IP address (RFC 6066, section 3).
   */
  readonly serverName: string | null;
  readonly verification: "full" | "none";
}

/** A connected stream of bytes. What `write` does not take stays with the caller until `onDrain`. */
export interface ByteSocket {
  readonly remoteAddress: string;
  readonly localPort: number;
  /** Null on a connection that is not encrypted. */
  readonly tls: TlsFacts | null;
  /** Writes bytes[start, end) and returns how many were taken; -1 when the socket is closed. */
  write(bytes: Uint8Array, start: number, end: number): number;
  /** Stops and restarts the delivery of data: back-pressure. */
  pause(): void;
  resume(): void;
  /** Sends FIN after what was written; the other direction stays open. */
  end(): void;
  /** Closes both directions at once; unsent bytes may be lost. */
  close(): void;
  /** Aborts with RST, so that the peer cannot mistake a truncated message for a whole one. */
  reset(): void;
}

/** What a socket tells its owner. A chunk belongs to the receiver: it may be kept and overwritten. */
export interface SocketOwner {
  onOpen(socket: ByteSocket): void;
  onData(chunk: Buffer): void;
  onDrain(): void;
  /** The peer sent FIN; writing may go on. */
  onEnd(): void;
  /** The last call; `error` says why when it was not an orderly close, or when connecting failed. */
  onClose(error: SocketError | null): void;
}

export interface SocketError {
  /**
   * The system's name of it, e.g. ECONNREFUSED, ECONNRESET, EADDRINUSE; ETLS for a handshake that failed, which in TLS
   * 1.3 the other side may say after `onOpen`: it has read nothing then. EPROTO for TLS that broke later.
   */
  readonly code: string;
  readonly message: string;
}

export interface ListeningSocket {
  /** As bound: with the port that the system chose when 0 was asked for. */
  readonly address: Address;
  /** Stops accepting; accepted connections live on. */
  stop(): void;
}

export interface Sockets {
  /** Rejects with an Error that has a `code` when the address cannot be bound. `sharing` is SO_REUSEPORT. */
  listen(
    address: Address,
    sharing: "exclusive" | "shared",
    accept: () => SocketOwner,
  ): Promise<ListeningSocket>;
  /**
   * `owner.onOpen` - with `tls`, after the handshake and with the certificate verified - or `owner.onClose` follows,
   * never from inside this call. The returned function gives the attempt up.
   */
  connect(address: Address, owner: SocketOwner, tls?: TlsTarget): () => void;
  /** Throws an Error that says what is wrong with the texts. */
  tlsContext(texts: TlsTexts): TlsContext;
  /** Makes an accepted plain socket a TLS one; until it is secured, it may only be closed or reset. */
  acceptTls(accepted: ByteSocket, handshake: TlsHandshake): void;
}

/** One X.509 certificate (RFC 5280). */
export interface CertificateFacts {
  /** DNS names and addresses of its subjectAltName, in lower case. */
  readonly names: readonly string[];
  readonly subject: string;
  readonly startsEpochMs: number;
  readonly expiresEpochMs: number;
}

/** Reads certificates and keys. Every call throws an Error that says what is wrong with the text. */
export interface Certificates {
  /** All certificates of a PEM text, in its order; never empty. */
  read(text: string): readonly CertificateFacts[];
  /** To which certificate of a PEM text a private key belongs: its place in `read`, or -1. */
  owner(text: string, key: string): number;
}

/** A UDP socket that is tied to one peer: nobody else is heard. */
export interface DatagramSocket {
  /** Sent, or lost without a word. */
  send(bytes: Uint8Array): void;
  /** Nothing is called back any more. */
  close(): void;
}

export interface DatagramOwner {
  onDatagram(bytes: Buffer): void;
  /** E.g. ECONNREFUSED, when the peer's host says that nobody listens; not every host of ours tells. */
  onError(error: SocketError): void;
}

export interface Datagrams {
  /**
   * From a port that the system draws; nothing is sent yet. Rejects with an Error that has a `code`, e.g. ENETUNREACH
   * when this machine has no route there.
   */
  connect(
    peer: { readonly host: string; readonly port: number },
    owner: DatagramOwner,
  ): Promise<DatagramSocket>;
}

/** Files and folders. Every call rejects (`watch` throws) with an Error that has a `code`, e.g. ENOENT, EACCES. */
export interface Files {
  read(path: string): Promise<string>;
  /** The names in a folder, sorted. */
  list(folder: string): Promise<string[]>;
  /** Absolute, with every symbolic link followed. */
  realPath(path: string): Promise<string>;
  /** Calls back after anything in this folder (not below it) changed; the returned function ends that. */
  watch(folder: string, changed: () => void): () => void;
}

export interface ProcessEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** What the operating system says of a process. */
export interface ProcessUsage {
  readonly residentBytes: number;
  /** User and system time since its start. */
  readonly cpuSeconds: number;
  readonly startEpochMs: number;
}

/** A process that runs this same program, at the other end of a message channel. */
export interface ChildProcess {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  /** False when the channel is closed and the message is lost. Messages are cloned as by `structuredClone`. */
  send(message: unknown): boolean;
  /** At once, with no chance to finish. */
  kill(): void;
}

/** Memory that processes see at the same time, and that is gone with the last of them. */
export interface SharedMemory {
  readonly bytes: ArrayBuffer;
  /** What a process inherits to see it too. */
  readonly descriptor: number;
}

/** The channel of a process that was itself started by `Processes.start`. */
export interface ParentChannel {
  send(message: unknown): void;
  onMessage(receive: (message: unknown) => void): void;
  /** The other end is gone, for whatever reason. */
  onClosed(run: () => void): void;
}

export type SignalName = "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGUSR2";

export interface Processes {
  readonly pid: number;
  /** What stands after the program's name on its command line. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How many of them the machine runs at the same time. */
  readonly cores: number;
  /** Starts this program once more with these arguments; it shares stdout and stderr, and its stdin is empty. */
  start(
    args: readonly string[],
    receive: (message: unknown) => void,
    memory?: SharedMemory | null,
  ): ChildProcess;
  /** Null when nobody waits at the other end. */
  readonly parent: ParentChannel | null;
  /** Null when there is no such process, or the system does not tell. */
  usage(pid: number): Promise<ProcessUsage | null>;
  onSignal(name: SignalName, run: () => void): void;
  /** An error that nothing caught; without this call it ends the process. */
  onUncaught(run: (error: unknown) => void): void;
  /**
   * Has the system end this process once it has used so much processor time without another call, as an endless loop
   * does. Does nothing where the host cannot.
   */
  endAfterBusy(cpuMs: number): void;
  /** Ends this process at once. */
  exit(code: number): never;
}

/** Code that is not part of the program: packages in a folder `node_modules`. */
export interface Modules {
  /** The file that this name stands for in the code of a folder; null when there is none. */
  find(name: string, folder: string): string | null;
  /** What the file exports. It runs in this process, once; rejects with what it throws. */
  load(file: string): Promise<Readonly<Record<string, unknown>>>;
}

/** Whoever started this node as a service, e.g. systemd. */
export interface ServiceManager {
  /** Assignments as sd_notify(3) lists them, e.g. `READY=1`, `STATUS=…`, `WATCHDOG=1`. */
  notify(lines: readonly string[]): void;
}

/** Where a person reads: whole lines, written at once. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** Whether a person, and not a file or a program, reads this stream. */
  readonly interactive: { readonly out: boolean; readonly error: boolean };
}

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
  /** The body is whole. */
  end(trailers: FieldTable | null): void;
  /** The body will never be whole. */
  fail(failure: Failure): void;
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

/** Values that filters hand to later filters (`c.set`, `c.get`). */
export type Variables = Record<string, unknown>;

/** Hono's environment in every Clearway filter. */
export interface FilterEnvironment {
  Bindings: Bindings;
  Variables: Variables;
}

export type Middleware = MiddlewareHandler<FilterEnvironment>;

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
}

/** What one sending may change against the call. */
export interface SendChange {
  request?: Request;
  service?: string;
  version?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
}

export type Send = (change?: SendChange) => Promise<Response>;
export type UpstreamFilter = (call: Call, send: Send) => Promise<Response>;

/** A whole number kept for the node, exact over its workers. */
export interface Counter {
  /** Adds (or, negative, subtracts) and returns the new value. */
  add(amount: number): number;
  readonly value: number;
}

/** Writes lines in the background; at most `bytesMax` wait, further lines are dropped and counted. */
export interface Appender {
  line(text: string): void;
  readonly dropped: number;
}

/** What a filter may touch besides its request: all of it given, so that it can be read and tested alone. */
export interface Tools {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: FilterMetrics;
  /** A value per worker that survives a reload; `make` runs when there is none under this key. */
  keep<T>(key: string, make: () => T): T;
  shared(key: string): Counter;
  /** Through that service's balancer, with its limits and metrics. */
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

/** Why there is no filter of a name that somebody might expect to be one. */
export interface RefusedFilter {
  /** Follows "cannot use the filter NAME: ". */
  readonly refused: string;
  readonly hints: readonly string[];
}

/** Filters that are found by their names, when a config uses these. */
export interface FilterFamily {
  takes(name: string): boolean;
  /** Those that are known without looking. */
  readonly names: readonly string[];
  /** `folder` is the config's. Null for a name that nothing has. */
  find(name: string, folder: string): Promise<FilterDefinition | RefusedFilter | null>;
}

/** What the names of a config stand for. */
export interface FoundFilters {
  readonly filters: FilterRegistry;
  readonly refused: ReadonlyMap<string, RefusedFilter>;
  /** Every name that could have been used, as far as it is known. */
  readonly known: readonly string[];
}

/** Never rejects. */
export type FindFilters = (names: ReadonlySet<string>, folder: string) => Promise<FoundFilters>;

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
