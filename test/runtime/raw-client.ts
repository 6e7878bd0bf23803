/** A caller that sends bytes and reads answers. */
import { connect } from "node:net";
import { type Message, readResponse, statusOf } from "./messages.ts";
import { RawSocket } from "./raw-socket.ts";

export class RawClient extends RawSocket {
  #read = 0;

  static open(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      const client = new RawClient(socket);
      socket.once("connect", () => resolve(client));
      // Accepted and reset at once: some hosts hear that before they say that it is connected.
      socket.once("error", (error) =>
        "code" in error && error.code === "ECONNRESET" ? resolve(client) : reject(error),
      );
    });
  }

  /** What came and was not read as an answer yet. */
  get unread(): string {
    return this.received.slice(this.#read);
  }

  /** Takes `length` characters of what came, once they are there. */
  async take(length: number): Promise<string> {
    await this.until(`${length} bytes`, () => (this.unread.length >= length ? true : null));
    const taken = this.unread.slice(0, length);
    this.#read += length;
    return taken;
  }

  /** The next message, an interim one too. `method`: of the request that it answers. */
  async next(method = "GET", limitMs?: number): Promise<Message> {
    const reading = await this.until(
      "an answer",
      () => {
        const read = readResponse(this.unread, { method, ended: this.peer === "fin" });
        if (read === null && this.peer !== "open") {
          throw new Error(
            `the connection ended (${this.peer}) after ${JSON.stringify(this.unread.slice(0, 300))}`,
          );
        }
        return read;
      },
      limitMs,
    );
    this.#read += reading.message.raw.length;
    return reading.message;
  }

  /** The next answer that is not interim. */
  async answer(method = "GET"): Promise<Message> {
    for (;;) {
      const message = await this.next(method);
      if (statusOf(message) >= 200 || statusOf(message) === 101) return message;
    }
  }

  async exchange(bytes: string, method = "GET"): Promise<Message> {
    this.send(bytes);
    return this.answer(method);
  }
}
