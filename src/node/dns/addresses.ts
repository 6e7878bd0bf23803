/** Which addresses of an answer can be used. */
import type { Datagrams } from "../../machine.ts";

/** What a node connects to of one service. */
export const ADDRESSES_MAX = 256;

export type Family = "IPv4" | "IPv6";

export function familyOf(address: string): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** Nobody can be reached there: "this host", multicast, broadcast, and what has a meaning only on one link. */
const unusable: readonly RegExp[] = [
  /^0\./,
  /^(22[4-9]|23\d)\./,
  /^255\.255\.255\.255$/,
  /^::$/,
  /^ff[0-9a-f]{2}:/,
  // Without the link's name nobody knows on which link.
  /^fe[89ab][0-9a-f]:/,
  // An IPv4 address in disguise (RFC 4291 section 2.5.5): one that is meant comes in an A record.
  /^::ffff:/,
];

export function isUsable(address: string): boolean {
  return !unusable.some((pattern) => pattern.test(address));
}

/** For an order that stays the same whatever the order of the answer. */
export function byAddress(left: string, right: string): number {
  const family = familyOf(left) === familyOf(right) ? 0 : familyOf(left) === "IPv4" ? -1 : 1;
  return family || left.localeCompare(right, "en", { numeric: true });
}

/** The families that this machine has a route for: a UDP socket is tied to one address of each, and nothing is sent. */
export async function routedFamilies(
  datagrams: Datagrams,
  addresses: readonly string[],
): Promise<ReadonlySet<Family>> {
  const both = [
    addresses.find((one) => familyOf(one) === "IPv4"),
    addresses.find((one) => familyOf(one) === "IPv6"),
  ];
  const routed = await Promise.all(
    both.map(async (host) => {
      if (host === undefined) return null;
      const socket = await datagrams
        .connect({ host, port: 9 }, { onDatagram() {}, onError() {} })
        .catch(() => null);
      socket?.close();
      return socket === null ? null : familyOf(host);
    }),
  );
  return new Set(routed.filter((family) => family !== null));
}
