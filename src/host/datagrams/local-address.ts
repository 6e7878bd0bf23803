import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

/** The address of this machine from which it reaches that one. Nothing is sent: the system looks at its routes. */
export function localAddress(host: string, port: number): Promise<string> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  return new Promise<string>((resolve, reject) => {
    socket.once("error", reject);
    socket.connect(port, host, () => resolve(socket.address().address));
  }).finally(() => socket.close());
}
