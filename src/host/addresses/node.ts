import { networkInterfaces } from "node:os";

/** Of every interface of this machine, loopback included; an IPv6 address without the name of its link. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
}
