/**
 * The nouns of the machine under Clearway, types only: what a host (Bun, Node, Deno) must offer. src/host has what
 * stands behind them; everywhere else they arrive as arguments, so that a test passes its own.
 */
import type { PeerJudge, TlsContext, TlsFacts, TlsTexts } from "./certificates.ts";

export type {
  CertificateFacts,
  Certificates,
  PeerCertificate,
  PeerJudge,
  TlsContext,
  TlsFacts,
  TlsTexts,
} from "./certificates.ts";

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

/** The server's side of a handshake, on a socket whose first bytes were read already. */
export interface TlsHandshake {
  readonly context: TlsContext;
  /** What the other side read of it: its ClientHello, perhaps with more. */
  readonly first: Buffer;
  readonly clientCertificate: "ignored" | "optional" | "required";
  readonly judge?: PeerJudge | null;
  /** The peer is proved, as far as was asked: who takes the secured socket? Its `onOpen` follows. */
  secured(facts: TlsFacts): SocketOwner;
  /**
   * The peer did not prove who it is: who tells it so, over the secured socket, and closes that? In TLS 1.3 the peer takes
   * its handshake for done and sends; it could not know that nothing of that is read. `failed` does not follow.
   */
  disbelieved(error: SocketError, certificate: "none" | "shown"): SocketOwner;
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
  readonly judge?: PeerJudge | null;
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
  /**
   * Takes back a chunk that `onData` gave and nobody reads any more: the memory of a large one serves the next at once,
   * instead of waiting for the collector. Absent where the host gains nothing by it.
   */
  reclaim?(chunk: Buffer): void;
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

/** Whom an HTTPS request believes, and what it shows; PEM texts. */
export interface RequestTls {
  /** Null believes whoever answers. */
  readonly ca: string | null;
  /** Whom the certificate must name. */
  readonly serverName: string;
  readonly own: { readonly certificate: string; readonly key: string } | null;
}

/**
 * An HTTPS request that follows no redirect and obeys no proxy variable. Rejects with an Error that has a `code` when
 * nobody answers, or nobody who is believed.
 */
export type SecureFetch = (url: string, init: RequestInit, tls: RequestTls) => Promise<Response>;

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
  /**
   * Calls back after anything in this folder (not below it) changed; the returned function ends that. `written` is the
   * name of what is there as before and was written to; null when names may have come or gone, and where nobody knows.
   */
  watch(folder: string, changed: (written: string | null) => void): () => void;
}

/** A folder of one process: nobody else uses it as long as this one lives, and no other user may look into it. */
export interface PrivateFolder {
  /** Null when there is no such file. */
  read(name: string): Promise<string | null>;
  /** Whoever reads it, after a crash too, sees the old text or the new one, never a part. */
  replace(name: string, text: string): Promise<void>;
  /** Lets the folder go, as the end of the process does, however it ends. */
  release(): void;
}

/**
 * Null when another process has it. It is made when it is not there, with those above it. Rejects with an Error that has
 * a `code`, e.g. EACCES.
 */
export type OpenPrivateFolder = (path: string) => Promise<PrivateFolder | null>;

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

/** Memory of which a part that nobody asked for costs nothing. */
export interface PartedMemory {
  /** Offset and size are whole pages. Whoever asks for the same part sees the same bytes, zeroed at first. */
  part(offsetBytes: number, sizeBytes: number): Uint8Array<ArrayBuffer>;
}

/** Memory that processes see at the same time, and that is gone with the last of them. */
export interface SharedMemory extends PartedMemory {
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
  /**
   * The same for work that nobody waits for, with code that may do anything: it gets what time others leave, and what
   * it prints goes to stderr.
   */
  startApart(args: readonly string[], receive: (message: unknown) => void): ChildProcess;
  /** Null when nobody waits at the other end. */
  readonly parent: ParentChannel | null;
  /** Null when there is no such process, or the system does not tell. */
  usage(pid: number): Promise<ProcessUsage | null>;
  /** Whether its main thread has a processor, or waits for one; false where the system does not tell. */
  runnable(pid: number): Promise<boolean>;
  /** SIGTERM to a process that this one need not have started; nothing happens where there is none. */
  askToEnd(pid: number): void;
  onSignal(name: SignalName, run: () => void): void;
  /** An error that nothing caught; without this call it ends the process. */
  onUncaught(run: (error: unknown) => void): void;
  /**
   * Has the system end this process once it has used so much processor time without another call, as an endless loop
   * does. Does nothing where the host cannot.
   */
  endAfterBusy(cpuMs: number): void;
  /**
   * Has the system end this process at once when the one that started it is gone, also in the middle of an endless loop.
   * Does nothing where the host cannot.
   */
  endWithParent(): Promise<void>;
  /**
   * Has the system give this thread a processor as soon as it has something to do, before others there have finished
   * their turn, for shorter turns of its own. Its share stays what it is. Does nothing where the host cannot.
   */
  shortenTimeSlice(): Promise<void>;
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

/** What users' own code may import from the program, by name: one copy for all. */
export type ProvidedModules = ReadonlyMap<string, () => Promise<object>>;

/** A place in code that somebody wrote; line and column count from 1. */
export interface CodePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The line, and how many of its characters are meant; null where it is not known. */
  readonly text: string | null;
  readonly length: number;
}

/** One thing wrong with code that somebody wrote. */
export interface CodeFault {
  readonly message: string;
  /** Null where no place is known. */
  readonly place: CodePlace | null;
}

/** Code that any process of the node can run: it crosses process borders. */
export type CodeSource =
  /** One JavaScript module with everything in it but what the program provides. */
  | { readonly kind: "bundle"; readonly text: string; readonly imports: readonly string[] }
  /** Where the host makes no bundles. */
  | { readonly kind: "file"; readonly path: string };

export type ReadCode =
  | {
      readonly ok: true;
      readonly source: CodeSource;
      /** Hexadecimal: another one after every change of the file, or of what it imports. */
      readonly version: string;
    }
  | { readonly ok: false; readonly faults: readonly CodeFault[] };

/** A file of users' own code, with all that it imports. */
export interface UserCode {
  /**
   * Files are read through `files`, so that whoever gave it knows them: those of the user, and the `package.json` of
   * packages. Paths are spelled like `path`, relative or absolute, in faults too. Rejects when `path` cannot be read.
   */
  read(path: string, files: Pick<Files, "read">): Promise<ReadCode>;
  /** What it exports. It runs in this process; rejects with what it throws. */
  run(source: CodeSource, version: string): Promise<Readonly<Record<string, unknown>>>;
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
