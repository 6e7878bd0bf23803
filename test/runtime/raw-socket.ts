/** One end of a TCP connection as a test holds it: sends exactly what it is told, keeps everything that came. */
import type { Socket } from "node:net";
import { Changes } from "./waiting.ts";

/** How the peer ended its side. */
export type PeerEnd = "open" | "fin" | "reset";

export class RawSocket extends Changes {
  /** All that came, as latin1 text. */
  received = "";
  peer: PeerEnd = "open";
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
      this.arrived();
      this.changed();
    });
    socket.on("end", () => this.#end());
    socket.on("error", () => this.#ended("reset"));
    socket.on("close", () => this.#ended("fin"));
  }

  /** More was received; for who reacts to it. */
  protected arrived(): void {}

  send(bytes: string | Uint8Array): void {
    if (this.#socket.writable)
      this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** FIN; what comes is still read. */
  finish(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Resolves when the peer ended its side, with how it did. */
  ended(limitMs?: number): Promise<PeerEnd> {
    return this.until("the peer's end", () => (this.peer === "open" ? null : this.peer), limitMs);
  }

  /** Node takes a reset that comes together with data for a FIN; writing nothing tells them apart. */
  #end(): void {
    if (!this.#socket.writable) this.#ended("fin");
    else this.#socket.write("", (error) => this.#ended(error == null ? "fin" : "reset"));
  }

  #ended(how: PeerEnd): void {
    if (this.peer === "open" || how === "reset") this.peer = how;
    this.changed();
  }
}
