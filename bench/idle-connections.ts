/** Keep-alive connections that make a request each when told to, and wait in between. */
import { connect, type Socket } from "node:net";
import { AnswerReader, type WantedAnswer } from "./answer.ts";

export interface IdleOptions {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly wanted: WantedAnswer;
}

/** So many make their request at a time: the other side's own connections stay few. */
const atOnce = 50;
const answerWaitMs = 10_000;
/** One source address has about 28,000 ports, and those of a run before may still be held. */
const perAddress = 5_000;

export class IdleConnections {
  /** Those that the other side closed. */
  closed = 0;
  readonly #options: IdleOptions;
  readonly #lines: Line[] = [];
  #opened = 0;

  constructor(options: IdleOptions) {
    this.#options = options;
  }

  /** Opens them, each with one request at once. Rejects at the first that has no answer, or not the wanted one. */
  async open(): Promise<void> {
    const { connections } = this.#options;
    while (this.#lines.length < connections) {
      const count = Math.min(atOnce, connections - this.#lines.length);
      const opened = await Promise.all(Array.from({ length: count }, () => this.#line()));
      this.#lines.push(...opened);
      await Promise.all(opened.map((line) => line.exchange()));
    }
  }

  /** One more request on each. */
  async request(): Promise<void> {
    for (let at = 0; at < this.#lines.length; at += atOnce) {
      await Promise.all(this.#lines.slice(at, at + atOnce).map((line) => line.exchange()));
    }
  }

  close(): void {
    for (const line of this.#lines.splice(0)) line.close();
  }

  #line(): Promise<Line> {
    const localAddress = `127.0.0.${2 + Math.floor(this.#opened++ / perAddress)}`;
    return Line.open(this.#options, localAddress, () => {
      this.closed++;
    });
  }
}

class Line {
  readonly #socket: Socket;
  readonly #request: string;
  readonly #reader: AnswerReader;
  #open = true;
  #answered: () => void = () => {};
  #failed: (error: Error) => void = () => {};

  private constructor(socket: Socket, { port, path, wanted }: IdleOptions) {
    this.#socket = socket;
    this.#request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`;
    this.#reader = new AnswerReader(wanted);
    socket.on("data", (chunk: Buffer) => {
      try {
        if (this.#reader.take(chunk)) this.#answered();
      } catch (error) {
        this.#failed(error as Error);
      }
    });
  }

  static open(options: IdleOptions, localAddress: string, closed: () => void): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: options.port, localAddress });
      const line = new Line(socket, options);
      socket.once("connect", () => resolve(line));
      socket.once("error", (error) => {
        reject(error);
        line.#failed(error);
      });
      socket.once("close", () => {
        closed();
        line.#open = false;
        line.#failed(new Error("the connection was closed"));
      });
    });
  }

  exchange(): Promise<void> {
    if (!this.#open) return Promise.reject(new Error("the connection was closed while it was idle"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer in ${answerWaitMs} ms`)), answerWaitMs);
      this.#answered = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#failed = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      this.#socket.write(this.#request);
    });
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }
}
