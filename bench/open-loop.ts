/**
 * The open-loop load generator, a program of its own: `open-loop.ts OPTIONS-AS-JSON` prints one JSON line of
 * `OpenLoopResult`. Requests are due at even distances, whatever the answers take, and each latency begins when its
 * request was due: a stall is seen by all the requests that fell into it. It calls the system's sockets itself, because an
 * event loop's timers of a millisecond would send bursts, and because it shares its core with the backend.
 */
import { Histogram } from "./histogram.ts";
import { type Connection, Sockets } from "./open-loop-sockets.ts";

export interface OpenLoopOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Before the figures count. */
  readonly warmSeconds: number;
  readonly seconds: number;
  /** Of every answer's body. */
  readonly bodyBytes: number;
}

export interface OpenLoopResult {
  readonly requests: number;
  /** Lost connections, other statuses, bodies of another length. */
  readonly failed: number;
  /** Due, but without an answer a second after the end: a queue that grew. */
  readonly unanswered: number;
  /** The first failure in words; null when there was none. */
  readonly example: string | null;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  /** How late this program itself sent what was due although a connection was free; the 99th percentile. */
  readonly lateP99Us: number;
}

/** After the last request was sent, for the answers that are still to come. */
const drainMs = 1_000;
const waitMsMax = 10;

export class OpenLoop {
  readonly #options: OpenLoopOptions;
  readonly #sockets: Sockets;
  readonly #latencies = new Histogram();
  readonly #lateness = new Histogram();
  readonly #byDescriptor = new Map<number, Connection>();
  /** Used in turn, so that all of them stay in use. */
  #idle: Connection[] = [];
  #failed = 0;
  #example: string | null = null;
  #startedAt = 0;
  #countsFrom = 0;

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    const host = `127.0.0.1:${options.port}`;
    this.#sockets = new Sockets(`GET ${options.path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    for (let index = 0; index < options.connections; index++) this.#connect();
  }

  run(): OpenLoopResult {
    const { requestsPerSecond, warmSeconds, seconds } = this.#options;
    const intervalMs = 1000 / requestsPerSecond;
    this.#startedAt = performance.now();
    this.#countsFrom = this.#startedAt + warmSeconds * 1000;
    const total = Math.floor((warmSeconds + seconds) * requestsPerSecond);
    for (let due = 0; due < total; ) {
      due = this.#sendDue(due, { intervalMs, total });
      const nextInMs = this.#startedAt + due * intervalMs - performance.now();
      this.#receive(this.#idle.length === 0 ? waitMsMax : Math.max(0, Math.min(nextInMs, waitMsMax)));
      const lateMs = performance.now() - this.#startedAt - total * intervalMs;
      if (lateMs > drainMs) return this.#result(total - due);
    }
    for (const end = performance.now() + drainMs; this.#underWay() > 0 && performance.now() < end; ) {
      this.#receive(waitMsMax);
    }
    return this.#result(this.#underWay());
  }

  /** Sends what is due as far as connections are free; what is left takes the next free ones. Returns the next one. */
  #sendDue(next: number, { intervalMs, total }: { intervalMs: number; total: number }): number {
    let due = next;
    let used = 0;
    for (; used < this.#idle.length && due < total; used++, due++) {
      const dueAt = this.#startedAt + due * intervalMs;
      const now = performance.now();
      if (dueAt > now) break;
      const connection = this.#idle[used]!;
      connection.dueAt = dueAt;
      // After a wait for a connection it is the other side that is late.
      if (connection.freeSince < dueAt && dueAt >= this.#countsFrom) this.#lateness.add((now - dueAt) * 1000);
      if (!this.#sockets.sendRequest(connection)) this.#lose(connection, "cannot send");
    }
    if (used > 0) this.#idle = this.#idle.slice(used);
    return due;
  }

  #receive(waitMs: number): void {
    for (const descriptor of this.#sockets.wait(waitMs)) {
      const connection = this.#byDescriptor.get(descriptor);
      if (connection === undefined) continue;
      const answer = this.#sockets.receive(connection, this.#options.bodyBytes);
      if (answer === "more") continue;
      if (answer !== "whole") {
        this.#lose(connection, answer);
        continue;
      }
      const now = performance.now();
      if (connection.dueAt >= this.#countsFrom) this.#latencies.add((now - connection.dueAt) * 1000);
      connection.freeSince = now;
      connection.dueAt = 0;
      this.#idle.push(connection);
    }
  }

  /** A failed connection is replaced; one that waited had no request to lose. */
  #lose(connection: Connection, why: string): void {
    if (connection.dueAt > 0) {
      this.#failed++;
      this.#example ??= why;
    } else this.#idle = this.#idle.filter((each) => each !== connection);
    this.#byDescriptor.delete(connection.descriptor);
    this.#sockets.close(connection);
    this.#connect();
  }

  #connect(): void {
    const connection = this.#sockets.connect(this.#options.port);
    this.#byDescriptor.set(connection.descriptor, connection);
    this.#idle.push(connection);
  }

  #underWay(): number {
    return this.#byDescriptor.size - this.#idle.length;
  }

  #result(unanswered: number): OpenLoopResult {
    const at = (share: number) => this.#latencies.percentileUs(share);
    for (const connection of this.#byDescriptor.values()) this.#sockets.close(connection);
    return {
      ...{ requests: this.#latencies.count, failed: this.#failed, unanswered, example: this.#example },
      ...{ p50Us: at(0.5), p90Us: at(0.9), p99Us: at(0.99), p999Us: at(0.999) },
      ...{ maxUs: this.#latencies.maxUs, lateP99Us: this.#lateness.percentileUs(0.99) },
    };
  }
}

if (import.meta.main) {
  const result = new OpenLoop(JSON.parse(process.argv[2] ?? "") as OpenLoopOptions).run();
  console.log(JSON.stringify(result));
}
