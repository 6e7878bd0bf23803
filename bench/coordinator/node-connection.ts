/** A node's connection to a coordinator, as little of it as a load needs: lines of answers, over TLS with a certificate. */
import type { Socket } from "bun";

export interface CoordinatorAccess {
  readonly port: number;
  /** PEM. */
  readonly roots: string;
  readonly certificate: string;
  readonly key: string;
}

export class NodeConnection {
  readonly #socket: Socket<undefined>;
  #rest = "";
  #unsent: Buffer | null = null;

  private constructor(socket: Socket<undefined>) {
    this.#socket = socket;
  }

  /** `line` gets each line, those of heads and chunks too; rejects when there is no connection. */
  static async open(
    { port, roots, certificate, key }: CoordinatorAccess,
    line: (text: string) => void,
    closed: () => void,
  ): Promise<NodeConnection> {
    let connection: NodeConnection | null = null;
    const { promise, resolve, reject } = Promise.withResolvers<NodeConnection>();
    // Who waits for it hears of a failure from `Bun.connect` first.
    promise.catch(() => {});
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      tls: { ca: roots, cert: certificate, key, serverName: "coordinator.mesh", rejectUnauthorized: true },
      socket: {
        handshake(socket, success, error) {
          if (!success || error !== null) return reject(error ?? new Error("no handshake"));
          connection = new NodeConnection(socket);
          resolve(connection);
        },
        data: (_socket, bytes) => connection?.read(bytes.toString("latin1"), line),
        drain: () => connection?.flush(),
        close() {
          reject(new Error("the connection was closed"));
          closed();
        },
        connectError: (_socket, error) => reject(error),
      },
    });
    return promise;
  }

  post(path: string, body: object): void {
    const text = JSON.stringify(body);
    const head = `POST ${path} HTTP/1.1\r\nHost: coordinator.mesh\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n`;
    const bytes = Buffer.from(head + text);
    this.#unsent = this.#unsent === null ? bytes : Buffer.concat([this.#unsent, bytes]);
    this.flush();
  }

  flush(): void {
    if (this.#unsent === null) return;
    const taken = this.#socket.write(this.#unsent);
    this.#unsent = taken === this.#unsent.length ? null : this.#unsent.subarray(Math.max(0, taken));
  }

  read(text: string, line: (text: string) => void): void {
    const end = text.lastIndexOf("\n");
    if (end === -1) {
      this.#rest += text;
      return;
    }
    const whole = this.#rest + text.slice(0, end);
    this.#rest = text.slice(end + 1);
    for (const one of whole.split("\n")) line(one);
  }

  close(): void {
    this.#socket.end();
  }
}
