/** Sockets of the system, without an event loop: for the open-loop load generator alone. Linux with glibc. */
import { dlopen, FFIType, ptr, read } from "bun:ffi";

const { i32, u64, ptr: pointer } = FFIType;

/** From the headers of Linux. */
const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;
const PR_SET_TIMERSLACK = 29;

/** `struct epoll_event` is packed on x86-64 only. */
const eventBytes = process.arch === "x64" ? 12 : 16;
const eventsMax = 256;
const chunkBytes = 256 * 1024;
const headBytesMax = 16 * 1024;

/** Opened at first use: the constants above are read by programs on other systems too. */
function openSystem() {
  return dlopen("libc.so.6", {
    socket: { args: [i32, i32, i32], returns: i32 },
    connect: { args: [i32, pointer, i32], returns: i32 },
    setsockopt: { args: [i32, i32, i32, pointer, i32], returns: i32 },
    send: { args: [i32, pointer, u64, i32], returns: FFIType.i64_fast },
    recv: { args: [i32, pointer, u64, i32], returns: FFIType.i64_fast },
    close: { args: [i32], returns: i32 },
    epoll_create1: { args: [i32], returns: i32 },
    epoll_ctl: { args: [i32, i32, i32, pointer], returns: i32 },
    epoll_pwait2: { args: [i32, pointer, i32, pointer, pointer], returns: i32 },
    prctl: { args: [i32, u64, u64, u64, u64], returns: i32 },
    __errno_location: { args: [], returns: pointer },
  }).symbols;
}

/** One connection, and what is known of the answer under way on it. */
export class Connection {
  /** When its request was due, on the clock of `performance.now()`; 0 when it has none. */
  dueAt = 0;
  freeSince = 0;
  /** An unfinished head, or the end of an answer in chunks. */
  kept = "";
  /** Of the body; -1 while the head is awaited, Infinity for a body in chunks. */
  left = -1;

  constructor(readonly descriptor: number) {}
}

/** What came of an answer; anything but the first two is what is wrong with it. */
export type Received = "whole" | "more" | `wrong: ${string}`;

export class Sockets {
  readonly #system = openSystem();
  readonly #epoll: number;
  readonly #events = Buffer.alloc(eventBytes * eventsMax);
  readonly #chunk = Buffer.alloc(chunkBytes);
  readonly #wait = new BigInt64Array(2);
  readonly #request: Buffer;

  constructor(request: string) {
    this.#request = Buffer.from(request);
    this.#epoll = this.#system.epoll_create1(0);
    // Timers of the kernel are late by 50 us otherwise.
    this.#system.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  }

  /** Throws an Error when nothing listens there. */
  connect(port: number): Connection {
    const descriptor = this.#system.socket(AF_INET, SOCK_STREAM, 0);
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF_INET, 0);
    address.writeUInt16BE(port, 2);
    address.set([127, 0, 0, 1], 4);
    if (this.#system.connect(descriptor, ptr(address), address.length) !== 0) {
      throw new Error(`cannot connect to 127.0.0.1:${port}: error ${this.#errorNumber()} of the system`);
    }
    const on = new Int32Array([1]);
    this.#system.setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, ptr(on), 4);
    const event = Buffer.alloc(eventBytes);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeInt32LE(descriptor, eventBytes === 12 ? 4 : 8);
    this.#system.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, descriptor, ptr(event));
    return new Connection(descriptor);
  }

  close({ descriptor }: Connection): void {
    this.#system.close(descriptor);
  }

  /** False when the system did not take all of it. */
  sendRequest(connection: Connection): boolean {
    connection.left = -1;
    const { length } = this.#request;
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return Number(this.#system.send(connection.descriptor, ptr(this.#request), length, flags)) === length;
  }

  /** The descriptors on which something came, after at most so long. */
  wait(waitMs: number): number[] {
    this.#wait[1] = BigInt(Math.floor(waitMs * 1e6));
    const events = this.#events;
    const count = this.#system.epoll_pwait2(this.#epoll, ptr(events), eventsMax, ptr(this.#wait), null);
    const ready: number[] = [];
    for (let index = 0; index < count; index++) {
      ready.push(events.readInt32LE(index * eventBytes + (eventBytes === 12 ? 4 : 8)));
    }
    return ready;
  }

  receive(connection: Connection, bodyBytes: number): Received {
    const { descriptor } = connection;
    const length = Number(this.#system.recv(descriptor, ptr(this.#chunk), chunkBytes, MSG_DONTWAIT));
    if (length === 0) return "wrong: the connection was closed";
    if (length < 0) {
      const number = this.#errorNumber();
      return number === EAGAIN ? "more" : `wrong: error ${number} of the system`;
    }
    if (connection.dueAt === 0) return `wrong: ${length} bytes that nobody asked for`;
    if (connection.left === -1) return this.#head(connection, { length, bodyBytes });
    if (connection.left === Number.POSITIVE_INFINITY) {
      return endOfChunks(connection, this.#chunk.toString("latin1", Math.max(0, length - 5), length));
    }
    return takeBody(connection, length);
  }

  #head(connection: Connection, wanted: { length: number; bodyBytes: number }): Received {
    const text = connection.kept + this.#chunk.toString("latin1", 0, Math.min(wanted.length, headBytesMax));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) {
      connection.kept = text;
      return text.length < headBytesMax ? "more" : "wrong: an endless head";
    }
    const before = connection.kept.length;
    connection.kept = "";
    if (!text.startsWith("HTTP/1.1 200 ")) return `wrong: ${text.slice(0, text.indexOf("\r\n"))}`;
    const head = text.slice(0, end).toLowerCase();
    if (head.includes("\r\ntransfer-encoding: chunked")) {
      connection.left = Number.POSITIVE_INFINITY;
      return endOfChunks(connection, text.slice(-5));
    }
    const at = head.indexOf("\r\ncontent-length:");
    const length = at < 0 ? Number.NaN : Number.parseInt(head.slice(at + 17), 10);
    if (length !== wanted.bodyBytes) return `wrong: a body of ${length} bytes, wanted ${wanted.bodyBytes}`;
    connection.left = length;
    return takeBody(connection, before + wanted.length - end - 4);
  }

  #errorNumber(): number {
    return read.i32(this.#system.__errno_location()!, 0);
  }
}

function takeBody(connection: Connection, length: number): Received {
  connection.left -= length;
  if (connection.left > 0) return "more";
  return connection.left === 0 ? "whole" : "wrong: bytes after the answer";
}

function endOfChunks(connection: Connection, tail: string): Received {
  connection.kept = (connection.kept + tail).slice(-5);
  if (connection.kept !== "0\r\n\r\n") return "more";
  connection.kept = "";
  return "whole";
}
