/** The socket of a caller's connection: who is at the other end, what waits to be written, by when something must happen. */

import type { ByteSocket, TlsFacts } from "../../machine.ts";
import type { MessageLimits } from "../../snapshot.ts";
import type { Deadline, Deadlines } from "../deadlines.ts";
import type { Entrance } from "../tls/server-certificates.ts";
import { Wire } from "../wire.ts";

export interface SocketSetting {
  /** Those of now: a reload may change them between two requests. */
  readonly limits: MessageLimits;
  readonly deadlines: Deadlines;
}

export abstract class CallerSocket {
  remoteAddress = "";
  localPort = 0;
  /** What the handshake proved; null without TLS. */
  tls: TlsFacts | null = null;
  /** Null without TLS. */
  entrance: Entrance | null = null;
  protected wire: Wire | null = null;
  readonly #setting: SocketSetting;
  readonly #deadline: Deadline;

  constructor(setting: SocketSetting) {
    this.#setting = setting;
    this.#deadline = setting.deadlines.create(() => this.expired());
  }

  /** The time that was set is over. */
  protected abstract expired(): void;
  /** The caller took nearly all that waited. */
  protected abstract drained(): void;

  protected opened(socket: ByteSocket): Wire {
    this.remoteAddress = socket.remoteAddress;
    this.localPort = socket.localPort;
    this.tls = socket.tls;
    this.wire = new Wire(socket, this.#setting.limits.bufferLowBytes, () => this.drained());
    return this.wire;
  }

  /** Ends it, and no time is set any more. */
  protected shut(how: "orderly" | "reset"): void {
    this.#deadline.remove();
    this.wire?.close(how);
  }

  get bufferHighBytes(): number {
    return this.#setting.limits.bufferHighBytes;
  }

  pause(): void {
    this.wire?.pause();
  }

  resume(): void {
    this.wire?.resume();
  }

  /** Takes back a chunk that the caller sent and nobody reads any more. */
  reclaim(chunk: Buffer | null): void {
    if (chunk !== null) this.wire?.reclaim(chunk);
  }

  /** Bytes that the caller did not take yet. */
  protected get waitingBytes(): number {
    return this.wire?.waitingBytes ?? 0;
  }

  /** Bytes are moving. */
  touchSilence(): void {
    this.setDeadline(this.#setting.limits.silenceTimeoutMs);
  }

  protected setDeadline(delayMs: number): void {
    this.#deadline.set(this.#setting.deadlines.now + delayMs);
  }
}
