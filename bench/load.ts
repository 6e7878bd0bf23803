/**
 * A strict load generator on keep-alive connections: whatever is not exactly the wanted answer counts as failed, with
 * its kind. Closed loop (each connection asks again at once), or open: so many requests a second, whatever the answers
 * take, so that a stall is seen by all the requests that fell into it.
 */
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { AnswerReader, type WantedAnswer, WrongAnswer } from "./answer.ts";
import { Histogram } from "./histogram.ts";

export interface LoadOptions {
  readonly host?: string;
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  /** Null for a closed loop. */
  readonly requestsPerSecond: number | null;
  readonly wanted: WantedAnswer;
  /** Another answer that is right: it is counted apart, among those that succeeded. */
  readonly refusal?: WantedAnswer;
  /** For https; without it the load is plain. */
  readonly tls?: ConnectionOptions;
  /** From its release to the end of its answer; 10 s when not given. */
  readonly timeoutMs?: number;
  /** Told of every connection that is lost, or given up. */
  readonly onLost?: (lost: LostConnection) => void;
}

export interface LostConnection {
  /** This side's port; null when it was never open. */
  readonly port: number | null;
  /** When it was asked for, on the clock of `performance.now()`. */
  readonly askedAtMs: number;
  /** How its request failed; null when there was none on it. */
  readonly failure: FailureKind | null;
  /** Why, in the system's words. */
  readonly message: string;
}

export type FailureKind = "connect" | "reset" | "timeout" | "overload" | WrongAnswer["kind"];

export interface LoadResult {
  readonly succeeded: number;
  readonly failed: number;
  readonly failures: Readonly<Partial<Record<FailureKind, number>>>;
  /** The first failures in words. */
  readonly examples: readonly string[];
  /** Connections that the other side closed, with a request on them or without. */
  readonly closedByPeer: number;
  readonly elapsedMs: number;
  /** From the release of a request: waiting for a free connection is in it. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface Load {
  /** So far. */
  result(): LoadResult;
  /** Answers so far that were the refusal. */
  readonly refused: number;
  /** Releases nothing more, waits for what is under way, and closes the connections. */
  stop(): Promise<LoadResult>;
}

const examplesMax = 10;
/** Released requests that wait for a connection; one more fails as overload. */
const waitingMax = 10_000;
const reconnectDelayMs = 10;
const sweepPeriodMs = 50;
const releasePeriodMs = 1;

export function startLoad(options: LoadOptions): Load {
  return new Generator(options);
}

/** A connection, and the request that is on it; replaced by a new one when it closes. */
interface Line {
  readonly socket: Socket;
  readonly reader: AnswerReader;
  readonly askedAtMs: number;
  /** This side's; null until it is open. */
  port: number | null;
  /** When its request was released; null when it has none. */
  releasedAt: number | null;
}

class Generator implements Load {
  readonly #options: LoadOptions;
  readonly #timeoutMs: number;
  readonly #request: Buffer;
  readonly #latencies = new Histogram();
  readonly #failures: Partial<Record<FailureKind, number>> = {};
  readonly #examples: string[] = [];
  readonly #lines = new Set<Line>();
  readonly #idle: Line[] = [];
  /** Release times. */
  readonly #waiting: number[] = [];
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #startedAt = performance.now();
  refused = 0;
  #released = 0;
  #failed = 0;
  #closedByPeer = 0;
  #stopping: (() => void) | null = null;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 10_000;
    const host = `${options.host ?? "127.0.0.1"}:${options.port}`;
    this.#request = Buffer.from(`GET ${options.path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    for (let index = 0; index < options.connections; index++) this.#open();
    this.#timers.push(setInterval(() => this.#sweep(), sweepPeriodMs));
    const rate = options.requestsPerSecond;
    if (rate !== null) this.#timers.push(setInterval(() => this.#release(rate), releasePeriodMs));
  }

  result(): LoadResult {
    const milliseconds = (share: number) => this.#latencies.percentileUs(share) / 1000;
    return {
      succeeded: this.#latencies.count,
      failed: this.#failed,
      failures: { ...this.#failures },
      examples: [...this.#examples],
      closedByPeer: this.#closedByPeer,
      elapsedMs: performance.now() - this.#startedAt,
      latencyMs: { p50: milliseconds(0.5), p99: milliseconds(0.99), max: this.#latencies.maxUs / 1000 },
    };
  }

  async stop(): Promise<LoadResult> {
    const finished = new Promise<void>((resolve) => {
      this.#stopping = resolve;
    });
    this.#settle();
    await finished;
    for (const timer of this.#timers) clearInterval(timer);
    for (const line of this.#lines) line.socket.destroy();
    return this.result();
  }

  /** The load is over when nothing that was released is without its answer. */
  #settle(): void {
    if (this.#stopping === null || this.#waiting.length > 0) return;
    for (const line of this.#lines) if (line.releasedAt !== null) return;
    this.#stopping();
  }

  #open(): void {
    const { host = "127.0.0.1", port, tls } = this.#options;
    const socket = tls === undefined ? connect({ host, port }) : connectTls({ ...tls, host, port });
    const line: Line = {
      socket,
      reader: new AnswerReader(this.#options.wanted, this.#options.refusal),
      askedAtMs: performance.now(),
      port: null,
      releasedAt: null,
    };
    this.#lines.add(line);
    socket.setNoDelay(true);
    socket.on(tls === undefined ? "connect" : "secureConnect", () => {
      line.port = socket.localPort ?? null;
      this.#next(line);
    });
    socket.on("data", (chunk: Buffer) => this.#data(line, chunk));
    // What an error means is told by the close that follows it.
    let message = "closed by the other side";
    socket.on("error", (error) => {
      message = error.message;
    });
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#closed(line, message));
  }

  #closed(line: Line, message: string): void {
    if (!this.#lines.delete(line)) return;
    const idle = this.#idle.indexOf(line);
    if (idle >= 0) this.#idle.splice(idle, 1);
    const failure = line.port === null ? "connect" : line.releasedAt === null ? null : "reset";
    if (line.port !== null) this.#closedByPeer++;
    if (failure !== null) this.#fail(failure, message);
    this.#tellLost(line, failure, message);
    this.#replace();
  }

  /** Gives a line up: a failed one is never asked again. */
  #drop(line: Line, kind: FailureKind, message: string): void {
    this.#lines.delete(line);
    line.socket.destroy();
    this.#fail(kind, message);
    this.#tellLost(line, kind, message);
    this.#replace();
  }

  #tellLost({ port, askedAtMs }: Line, failure: FailureKind | null, message: string): void {
    this.#options.onLost?.({ port, askedAtMs, failure, message });
  }

  /** Its answer said that it takes no further request. */
  #retire(line: Line): void {
    this.#lines.delete(line);
    line.socket.end();
    this.#closedByPeer++;
    this.#replace();
  }

  #replace(): void {
    this.#settle();
    const reopen = () => {
      // A load that is over opens nothing.
      if (this.#stopping === null || this.#waiting.length > 0) this.#open();
    };
    setTimeout(reopen, reconnectDelayMs);
  }

  #fail(kind: FailureKind, message: string): void {
    this.#failed++;
    this.#failures[kind] = (this.#failures[kind] ?? 0) + 1;
    if (this.#examples.length < examplesMax) this.#examples.push(`${kind}: ${message}`);
  }

  #data(line: Line, chunk: Buffer): void {
    if (!this.#lines.has(line)) return;
    if (line.releasedAt === null) {
      this.#drop(line, "framing", `${chunk.length} bytes that nobody asked for`);
      return;
    }
    try {
      if (!line.reader.take(chunk)) return;
    } catch (error) {
      if (!(error instanceof WrongAnswer)) throw error;
      this.#drop(line, error.kind, error.message);
      return;
    }
    if (line.reader.refused) this.refused++;
    this.#latencies.add((performance.now() - line.releasedAt) * 1000);
    line.releasedAt = null;
    if (line.reader.connection === "close") this.#retire(line);
    else this.#next(line);
    this.#settle();
  }

  /** A line is free: the oldest waiting request takes it, or, in a closed loop, a new one. */
  #next(line: Line): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.#send(line, waiting);
    else if (this.#options.requestsPerSecond === null && this.#stopping === null) {
      this.#send(line, performance.now());
    } else this.#idle.push(line);
  }

  #send(line: Line, releasedAt: number): void {
    line.releasedAt = releasedAt;
    line.socket.write(this.#request);
  }

  /** Releases what is due by now. A late timer releases late: that is this process's delay, not the other side's. */
  #release(requestsPerSecond: number): void {
    if (this.#stopping !== null) return;
    const now = performance.now();
    const due = Math.floor(((now - this.#startedAt) / 1000) * requestsPerSecond);
    for (; this.#released < due; this.#released++) {
      const line = this.#idle.pop();
      if (line !== undefined) this.#send(line, now);
      else if (this.#waiting.length < waitingMax) this.#waiting.push(now);
      else this.#fail("overload", `${waitingMax} requests were waiting for a connection`);
    }
  }

  #sweep(): void {
    const oldest = performance.now() - this.#timeoutMs;
    const message = `no whole answer within ${this.#timeoutMs} ms`;
    for (const line of [...this.#lines]) {
      if (line.releasedAt !== null && line.releasedAt < oldest) this.#drop(line, "timeout", message);
    }
    while (this.#waiting.length > 0 && this.#waiting[0]! < oldest) {
      this.#waiting.shift();
      this.#fail("timeout", message);
    }
    this.#settle();
  }
}
