/** A service on a bare TCP port that keeps every byte and connection it got, and answers as the test says. */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import { type Message, readRequest } from "./messages.ts";
import { RawSocket } from "./raw-socket.ts";
import { Changes } from "./waiting.ts";

export interface UpstreamScript {
  /** A whole request is here; the returned bytes are sent. */
  onRequest?(request: Message, connection: RecordedConnection): string | null | undefined;
  /** Bytes came, of whatever; `received` holds them. */
  onData?(connection: RecordedConnection): void;
  onConnect?(connection: RecordedConnection): void;
}

export const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

export class RecordedConnection extends RawSocket {
  /** Null without TLS. */
  tls: TLSSocket | null = null;
  readonly requests: Message[] = [];
  script: UpstreamScript = {};
  /** When bytes are no requests (any more), e.g. after 101. */
  reading: "requests" | "bytes" = "requests";
  #read = 0;
  owner: RecordingUpstream | null = null;

  /** What came and was not part of a whole request. */
  get unread(): string {
    return this.received.slice(this.#read);
  }

  protected override arrived(): void {
    this.script.onData?.(this);
    while (this.reading === "requests") {
      const read = readRequest(this.unread);
      if (read === null) break;
      this.#read += read.message.raw.length;
      this.requests.push(read.message);
      const answer = this.script.onRequest?.(read.message, this);
      if (answer != null) this.send(answer);
    }
    this.owner?.changed();
  }
}

export class RecordingUpstream extends Changes {
  readonly connections: RecordedConnection[] = [];
  script: UpstreamScript;
  /** Handshakes that failed, in their words. */
  readonly refused: string[] = [];
  readonly #tls: TlsOptions | null;
  #server: Server | null = null;
  port = 0;

  private constructor(script: UpstreamScript, tls: TlsOptions | null) {
    super();
    this.script = script;
    this.#tls = tls;
  }

  static async start(
    script: UpstreamScript = { onRequest: () => okAnswer },
    port = 0,
    tls: TlsOptions | null = null,
  ): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream(script, tls);
    await upstream.listen(port);
    return upstream;
  }

  listen(port: number): Promise<void> {
    const accept = (socket: Socket) => {
      const connection = new RecordedConnection(socket);
      connection.tls = this.#tls === null ? null : (socket as TLSSocket);
      connection.script = this.script;
      connection.owner = this;
      this.connections.push(connection);
      this.script.onConnect?.(connection);
      this.changed();
    };
    const server =
      this.#tls === null
        ? createServer({ allowHalfOpen: true }, accept)
        : createTlsServer({ ...this.#tls, allowHalfOpen: true }, accept);
    server.on("tlsClientError", (error: Error) => {
      this.refused.push(error.message);
      this.changed();
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        this.port = (server.address() as { port: number }).port;
        resolve();
      });
    });
  }

  /** All whole requests, connection by connection. */
  get requests(): Message[] {
    return this.connections.flatMap((connection) => connection.requests);
  }

  get bytes(): number {
    return this.connections.reduce((sum, connection) => sum + connection.received.length, 0);
  }

  /** The request with this index, once it is whole. */
  request(index = 0): Promise<Message> {
    return this.until(`request ${index} at the upstream`, () => this.requests[index] ?? null);
  }

  connection(index = 0): Promise<RecordedConnection> {
    return this.until(`connection ${index} at the upstream`, () => this.connections[index] ?? null);
  }

  stop(): void {
    for (const connection of this.connections) connection.close();
    this.#server?.close();
  }
}
