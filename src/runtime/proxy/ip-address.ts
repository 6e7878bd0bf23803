/** IP addresses as callers and name servers write them, and which of them a proxy leads nobody to. */

/** As it is compared; null for a name. An IPv6 address comes with brackets from a URL, without them from DNS. */
export function ipAddress(host: string): string | null {
  const parts = host.split(".");
  if (parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return host;
  const text = host.startsWith("[") ? host.slice(1, -1) : host;
  if (!text.includes(":") || !URL.canParse(`http://[${text}]/`)) return null;
  return embedded(new URL(`http://[${text}]/`).hostname.slice(1, -1));
}

/** IPv4 in the disguise of IPv6: mapped (RFC 4291 section 2.5.5.2), or for a translator (RFC 6052 section 2.1). */
function embedded(address: string): string {
  const found = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (found === null) return address;
  const [high, low] = [Number.parseInt(found[1]!, 16), Number.parseInt(found[2]!, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

const unreachable: readonly RegExp[] = [
  // "This host", multicast, broadcast: to connect there is to connect to oneself, or to nobody.
  /^0\./,
  /^(22[4-9]|23\d|24\d|25[0-5])\./,
  /^::$/,
  /^ff[0-9a-f]{2}:/,
  // Link-local (RFC 3927, RFC 4291 section 2.5.6): among them where clouds tell a machine its secrets.
  /^169\.254\./,
  /^fe[89ab][0-9a-f]:/,
  // The same of Amazon for IPv6, and of Alibaba.
  /^fd00:ec2::254$/,
  /^100\.100\.100\.200$/,
];

/** Of an address as `ipAddress` writes it. */
export function mayBeReached(address: string): boolean {
  return !unreachable.some((pattern) => pattern.test(address));
}

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
