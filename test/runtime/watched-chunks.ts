/** The system's sockets, with each chunk that they gave, and those that were taken back. */
import { bunSockets } from "../../src/host/sockets/bun.ts";
import type { ByteSocket, SocketOwner, Sockets } from "../../src/machine.ts";

/** No body of a test has it: whoever reads a chunk that was taken back is found out. */
export const garbage = 0x01;

export class WatchedChunks {
  /** What services' connections gave, and what callers' did. */
  readonly answered: Buffer[] = [];
  readonly asked: Buffer[] = [];
  readonly reclaimed = new Set<Buffer>();
  readonly #takenBytesMax: number;
  readonly sockets: Sockets = {
    ...bunSockets,
    listen: (address, sharing, accept) =>
      bunSockets.listen(address, sharing, () => this.#watch(accept(), this.asked)),
    connect: (address, owner, ...rest) =>
      bunSockets.connect(address, this.#watch(owner, this.answered), ...rest),
  };

  /** `takenBytesMax`: of each write; the rest has to wait. */
  constructor(takenBytesMax = Number.POSITIVE_INFINITY) {
    this.#takenBytesMax = takenBytesMax;
  }

  #watch(owner: SocketOwner, given: Buffer[]): SocketOwner {
    let isOpen = true;
    const drain = () => setTimeout(() => isOpen && owner.onDrain(), 1);
    return {
      onOpen: (socket) => owner.onOpen(this.#noting(socket, drain)),
      onData: (chunk) => {
        given.push(chunk);
        owner.onData(chunk);
      },
      onDrain: () => owner.onDrain(),
      onEnd: () => owner.onEnd(),
      onClose: (error) => {
        isOpen = false;
        owner.onClose(error);
      },
    };
  }

  #noting(socket: ByteSocket, drain: () => void): ByteSocket {
    const write = (bytes: Uint8Array, start: number, end: number) => {
      const taken = socket.write(bytes, start, Math.min(end, start + this.#takenBytesMax));
      if (taken >= 0 && taken < end - start) drain();
      return taken;
    };
    const reclaim = (chunk: Buffer) => {
      if (this.reclaimed.has(chunk)) throw new Error("a chunk was taken back twice");
      this.reclaimed.add(chunk);
      chunk.fill(garbage);
      socket.reclaim!(chunk);
    };
    return new Proxy(socket, {
      get: (target, name) => {
        if (name === "reclaim") return reclaim;
        if (name === "write") return write;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }
}
