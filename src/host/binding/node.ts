/**
 * Tries whether an address can be bound. Node and Deno bind nothing without listening on it: whoever connects in that
 * moment, before this node serves, finds a connection that is reset.
 */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { Address } from "../../machine.ts";
import { tryUnixPath } from "./unix-path.ts";

/** Alone, as if nobody shared it; returns the address as bound. Rejects with an Error that has a `code`, e.g. EADDRINUSE, EADDRNOTAVAIL, EACCES. */
export async function tryBind(address: Address): Promise<Address> {
  if ("unixPath" in address) {
    await tryUnixPath(address.unixPath);
    return address;
  }
  const server = createServer((socket) => socket.resetAndDestroy());
  server.listen({ host: address.host, port: address.port });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return { host: address.host, port };
}
