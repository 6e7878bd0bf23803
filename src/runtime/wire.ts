/**
 * A connection's socket as the codecs hold it: what one event writes leaves in one system call where possible, and what
 * the socket does not take waits here, in order.
 *
 * Small pieces are gathered in one scratch buffer that all connections of a worker share: it belongs to one wire at a
 * time, and is written when another wire needs it or when the event ends (`flushWires`).
 */
import type { ByteSocket } from "../machine.ts";
import type { ChunkOwner } from "../types.ts";

const SCRATCH_BYTES = 64 * 1024;
/** A larger piece is written from where it lies: a second system call costs less than copying it. */
const COPIED_BYTES_MAX = 16 * 1024;
/** As large as that, it is not copied either when what was gathered can be put in front of it. */
const LED_BYTES_MIN = 4 * 1024;

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
let used = 0;
let owner: Wire | null = null;
/** What was given last to any wire, when that wire needs it no more. */
let spent: Buffer | null = null;
let spentBy: Wire | null = null;

/** What the socket did not take yet. */
interface Waiting {
  rest: Buffer;
  /** What it is a part of; null for a copy. */
  readonly chunk: Buffer | null;
  /** Told when it left. */
  owner: ChunkOwner | null;
}

/** Writes what the current event gathered. Whoever is called by a socket, a timer or a promise calls it at the end. */
export function flushWires(): void {
  owner?.flush();
}

export class Wire {
  readonly #socket: ByteSocket;
  readonly #lowBytes: number;
  readonly #drained: () => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #ending = false;
  #paused = false;
  /** All bytes given to this wire, taken by the socket or not. */
  writtenBytes = 0;

  /** `drained` is told when of what waited at most `lowBytes` are left. */
  constructor(socket: ByteSocket, lowBytes: number, drained: () => void) {
    this.#socket = socket;
    this.#lowBytes = lowBytes;
    this.#drained = drained;
  }

  /** Bytes that the socket did not take yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** The scratch buffer with room for `bytesMax` from `position` on; `advance` tells how far it was filled. */
  room(bytesMax: number): Buffer {
    if (owner !== this) owner?.flush();
    if (used + bytesMax > scratch.length) {
      this.flush();
      if (bytesMax > scratch.length) scratch = Buffer.allocUnsafeSlow(bytesMax);
    }
    owner = this;
    return scratch;
  }

  get position(): number {
    return used;
  }

  advance(position: number): void {
    this.writtenBytes += position - used;
    used = position;
  }

  /**
   * Writes bytes[start, end), which stay untouched from now on. What lies between `spareStart` and `start` is free to
   * be overwritten: what was gathered is put there when it fits, so that head and body leave in one system call.
   */
  write(bytes: Buffer, start: number, end: number, spareStart = start): void {
    const length = end - start;
    const isLed = owner === this && used <= start - spareStart && length >= LED_BYTES_MIN;
    if (length <= COPIED_BYTES_MAX && !isLed) {
      const out = this.room(length);
      bytes.copy(out, used, start, end);
      this.advance(used + length);
      this.#spend(bytes);
      return;
    }
    let from = start;
    if (isLed) {
      from -= scratch.copy(bytes, start - used, 0, used);
      owner = null;
      used = 0;
    } else this.flush();
    this.writtenBytes += length;
    this.#send(bytes, from, end, "kept");
    this.#spend(this.#waitingBytes === 0 ? bytes : null);
  }

  #spend(bytes: Buffer | null): void {
    spent = bytes;
    spentBy = this;
  }

  /** Whether these bytes, the last that were given to `write`, are read by this wire no more; else `owner` is told when. */
  hasSpent(bytes: Buffer, owner: ChunkOwner): boolean {
    // A chunk may have been given in several pieces, of which an earlier one waits.
    const last = this.#waiting.findLast(({ chunk }) => chunk === bytes);
    if (last === undefined) return spent === bytes && spentBy === this;
    last.owner = owner;
    return false;
  }

  writeText(latin1: string): void {
    const out = this.room(latin1.length);
    this.advance(used + out.write(latin1, used, "latin1"));
  }

  /** Writes what was gathered. */
  flush(): void {
    if (owner !== this) return;
    const end = used;
    owner = null;
    used = 0;
    if (end > 0) this.#send(scratch, 0, end, "reused");
  }

  /** FIN, after everything that waits. */
  end(): void {
    this.flush();
    this.#ending = true;
    if (this.#waitingBytes === 0) this.#socket.end();
  }

  /** Ends both directions, and forgets what was gathered and what waits. */
  close(how: "orderly" | "reset"): void {
    if (owner === this) {
      owner = null;
      used = 0;
    }
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (how === "reset") this.#socket.reset();
    else this.#socket.close();
  }

  // ---- reading ----

  /** Takes back a chunk that this socket gave and nobody reads any more. */
  reclaim(chunk: Buffer): void {
    if (spent === chunk) spent = null;
    this.#socket.reclaim?.(chunk);
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** The socket takes bytes again. */
  onDrain(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const { rest } = first;
      const taken = this.#socket.write(rest, 0, rest.length);
      if (taken < 0) return;
      this.#waitingBytes -= taken;
      if (taken < rest.length) {
        first.rest = rest.subarray(taken);
        break;
      }
      this.#waiting.shift();
      if (first.chunk !== null) first.owner?.reclaim(first.chunk);
    }
    if (this.#waitingBytes === 0 && this.#ending) this.#socket.end();
    if (this.#waitingBytes <= this.#lowBytes) this.#drained();
  }

  #send(bytes: Buffer, start: number, end: number, fate: "kept" | "reused"): void {
    let taken = 0;
    if (this.#waitingBytes === 0) {
      taken = this.#socket.write(bytes, start, end);
      if (taken < 0 || taken === end - start) return;
    }
    const rest = bytes.subarray(start + taken, end);
    const isKept = fate === "kept";
    this.#waiting.push({
      rest: isKept ? rest : Buffer.from(rest),
      chunk: isKept ? bytes : null,
      owner: null,
    });
    this.#waitingBytes += rest.length;
  }
}
