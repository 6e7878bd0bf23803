import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands on the wire between a caller and a port, and can send bytes of its own to the port. */
export class Relay {
  port = 0;
  #inner: Socket | null = null;
  readonly #server: Server;

  private constructor(port: number, pieceBytes: number) {
    this.#server = createServer((outer) => {
      const inner = connect(port, "127.0.0.1");
      this.#inner = inner;
      inner.setNoDelay(true);
      for (const [from, to] of [
        [outer, inner],
        [inner, outer],
      ] as const) {
        from.on("data", (chunk: Buffer) => {
          const length = to === inner ? pieceBytes : chunk.length;
          for (let at = 0; at < chunk.length; at += length) to.write(chunk.subarray(at, at + length));
        });
        from.on("error", () => {});
        from.on("close", () => to.destroy());
      }
    });
  }

  /** `pieceBytes`: what is sent to the port at most at a time. */
  static async start(port: number, pieceBytes = Number.POSITIVE_INFINITY): Promise<Relay> {
    const relay = new Relay(port, pieceBytes);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    relay.port = (relay.#server.address() as AddressInfo).port;
    return relay;
  }

  inject(bytes: Buffer): void {
    this.#inner?.write(bytes);
  }

  stop(): void {
    this.#inner?.destroy();
    this.#server.close();
  }
}
