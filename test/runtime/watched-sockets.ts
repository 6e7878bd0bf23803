/** Sockets that tell what was read of them, so that a test can wait for it and never sleeps. */
import type { SocketOwner, Sockets } from "../../src/machine.ts";
import { eventually } from "./waiting.ts";

export class WatchedSockets {
  readonly sockets: Sockets;
  /** From all callers together. */
  #bytes = 0;
  /** Connections to services on which they sent FIN, or that are closed. */
  #serviceEnds = 0;

  constructor(sockets: Sockets) {
    this.sockets = {
      ...sockets,
      listen: (address, sharing, accept) => sockets.listen(address, sharing, () => this.#caller(accept())),
      connect: (address, owner, ...tls) => sockets.connect(address, this.#service(owner), ...tls),
    };
  }

  /** Sends, and resolves when it was read. */
  async send(client: { send(bytes: string): void }, bytes: string): Promise<void> {
    const wanted = this.#bytes + bytes.length;
    client.send(bytes);
    await eventually(`${bytes.length} bytes to be read`, () => this.#bytes >= wanted);
  }

  /** Resolves when nothing more is read of the callers, though more was sent. */
  stalled(): Promise<unknown> {
    const looks: number[] = [];
    return eventually("the reading to stop", () => {
      looks.push(this.#bytes);
      return this.#bytes > 0 && looks.at(-25) === this.#bytes;
    });
  }

  serviceEnded(): Promise<unknown> {
    return eventually("the end of a connection to a service", () => this.#serviceEnds > 0);
  }

  #caller(owner: SocketOwner): SocketOwner {
    const read = (chunk: Buffer) => {
      this.#bytes += chunk.length;
    };
    return watched(owner, { onData: read });
  }

  #service(owner: SocketOwner): SocketOwner {
    const ended = () => {
      this.#serviceEnds += 1;
    };
    return watched(owner, { onEnd: ended, onClose: ended });
  }
}

function watched(owner: SocketOwner, watch: Partial<SocketOwner>): SocketOwner {
  return {
    onOpen: (socket) => owner.onOpen(socket),
    onData(chunk) {
      watch.onData?.(chunk);
      owner.onData(chunk);
    },
    onDrain: () => owner.onDrain(),
    onEnd() {
      watch.onEnd?.();
      owner.onEnd();
    },
    onClose(error) {
      watch.onClose?.(error);
      owner.onClose(error);
    },
  };
}
