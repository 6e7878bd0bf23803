import type { Sockets } from "../../machine.ts";

const loopback = "127.0.0.1";

/** A loopback port that nothing listens on: the preferred one if it is free. */
export async function freePort(sockets: Sockets, preferred: number): Promise<number> {
  for (const port of [preferred, 0]) {
    try {
      const listening = await sockets.listen({ host: loopback, port }, "exclusive", () => nobody);
      listening.stop();
      if ("port" in listening.address) return listening.address.port;
    } catch {
      // Taken: the system chooses one.
    }
  }
  throw new Error(`cannot find a free port on ${loopback}`);
}

const nobody = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} };
