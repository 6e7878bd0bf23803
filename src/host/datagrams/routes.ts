/**
 * What the system knows of the ways to other machines. Nothing is sent: a UDP socket is tied to a peer, and the routes say
 * from which address that goes.
 */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIPv6 } from "node:net";

/** Of a name, IPv4 and IPv6, in the order in which the system would try them; an address is its own. Rejects when there is none. */
export async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** The address of this machine from which it reaches that one. Rejects when there is no way. */
export function localAddress(address: string, port: number): Promise<string> {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  return new Promise<string>((resolve, reject) => {
    socket.once("error", reject);
    // Where there is no way, this is called too: the socket would say 0.0.0.0.
    socket.connect(port, address, (error?: Error | null) => {
      if (error === undefined || error === null) resolve(socket.address().address);
      else reject(error);
    });
  }).finally(() => socket.close());
}
