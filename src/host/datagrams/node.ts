/**
 * UDP by `node:dgram`, which Bun, Node and Deno share.
 *
 * Seen: a refused connect has no `code` on Bun 1.4.5; Deno 2.9.6 ties a socket to its peer in name only, so it tells
 * neither ECONNREFUSED nor that there is no route, and who sent a datagram is looked at here.
 */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Datagrams, SocketError } from "../../machine.ts";

export const systemDatagrams: Datagrams = {
  connect: ({ host, port }, owner) =>
    new Promise((resolve, reject) => {
      const family = isIPv6(host.split("%")[0]!) ? "udp6" : "udp4";
      const socket = createSocket(family);
      let open = true;
      const close = () => {
        if (!open) return;
        open = false;
        socket.close();
      };
      socket.on("message", (bytes, from) => {
        // An IPv6 address has several spellings; its port is the peer's all the same.
        const byPeer = from.port === port && (family === "udp6" || from.address === host);
        if (open && byPeer) owner.onDatagram(bytes);
      });
      socket.on("error", (error) => {
        if (open) owner.onError(socketError(error));
      });
      socket.connect(port, host, (error?: Error | null) => {
        if (error === undefined || error === null) {
          resolve({ send: (bytes) => open && socket.send(bytes, () => {}), close });
        } else {
          close();
          reject(Object.assign(error, socketError(error)));
        }
      });
    }),
};

function socketError(error: Error & { code?: string }): SocketError {
  return { code: error.code ?? "EUNKNOWN", message: error.message };
}
