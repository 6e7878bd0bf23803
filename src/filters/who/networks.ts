/** Addresses and networks of both kinds, as eight groups of 16 bits; IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2). */

export type AddressGroups = readonly number[];

export interface Network {
  readonly groups: AddressGroups;
  /** Of 128. */
  readonly bits: number;
}

const MAPPED = [0, 0, 0, 0, 0, 0xffff];
const version4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const group = /^[0-9a-f]{1,4}$/i;

/** Null for what is no address; a zone (`%eth0`) is left off. */
export function addressGroups(text: string): AddressGroups | null {
  if (!text.includes(":")) return mapped(text);
  const [bare = ""] = text.split("%", 1);
  const halves = bare.split("::");
  if (halves.length > 2 || (halves.length === 2 && halves[0]!.includes("."))) return null;
  const [head = null, tail = null] = halves.map(groupsOf);
  if (head === null) return null;
  if (halves.length === 1) return head.length === 8 ? head : null;
  if (tail === null || head.length + tail.length > 7) return null;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** The last may be four decimal numbers. */
function groupsOf(text: string): number[] | null {
  if (text === "") return [];
  const pieces = text.split(":");
  const last = pieces[pieces.length - 1]!;
  const four = last.includes(".") ? mapped(last) : null;
  if (last.includes(".") && four === null) return null;
  const hexadecimal = four === null ? pieces : pieces.slice(0, -1);
  if (!hexadecimal.every((piece) => group.test(piece))) return null;
  return [...hexadecimal.map((piece) => Number.parseInt(piece, 16)), ...(four ?? []).slice(6)];
}

function mapped(text: string): AddressGroups | null {
  const [, ...parts] = version4.exec(text) ?? [];
  // Some read a leading zero as octal, so it is no address here.
  if (parts.length === 0 || parts.some((part) => Number(part) > 255 || /^0\d/.test(part))) return null;
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
  return [...MAPPED, a * 256 + b, c * 256 + d];
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; or what was wanted instead. */
export function parseNetwork(text: string): Network | { readonly wanted: string } {
  const [address = "", length, ...more] = text.split("/");
  const groups = addressGroups(address);
  if (groups === null || address.includes("%") || more.length > 0) return { wanted: networkWanted };
  const offset = address.includes(":") ? 0 : 96;
  if (length === undefined) return { groups, bits: 128 };
  if (!/^\d{1,3}$/.test(length) || Number(length) > 128 - offset) {
    return { wanted: `wanted a length from 0 to ${128 - offset} behind the slash` };
  }
  const bits = offset + Number(length);
  return isInside(groups, { groups: masked(groups, bits), bits: 128 })
    ? { groups, bits }
    : { wanted: `wanted only zeros behind the first ${length} bits` };
}

export const networkWanted = "wanted an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";

function masked(groups: AddressGroups, bits: number): AddressGroups {
  return groups.map((value, index) => value & maskOf(bits, index));
}

/** Of one group. */
function maskOf(bits: number, index: number): number {
  const inGroup = Math.min(16, Math.max(0, bits - index * 16));
  return (0xffff << (16 - inGroup)) & 0xffff;
}

export function isInside(address: AddressGroups, { groups, bits }: Network): boolean {
  for (let index = 0; index * 16 < bits; index++) {
    if (((address[index]! ^ groups[index]!) & maskOf(bits, index)) !== 0) return false;
  }
  return true;
}
