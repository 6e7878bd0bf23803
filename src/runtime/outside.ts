/**
 * Where a filter may send a request outside the mesh. Hosts that the filter's own options name are the operator's
 * choice and may be anything; another host may come from a request, so it must be public and https: else a caller
 * could have the proxy read what only the proxy can reach (metadata services, admin ports).
 */

/** How deep the options are searched, and how many hosts they may name. */
const DEPTH_MAX = 8;
const HOSTS_MAX = 100;

/** Every host of a url in the options, as the URL class writes it. */
export function hostsIn(options: unknown): ReadonlySet<string> {
  const hosts = new Set<string>();
  collect(options, hosts, 0);
  return hosts;
}

function collect(value: unknown, hosts: Set<string>, depth: number): void {
  if (hosts.size >= HOSTS_MAX || depth > DEPTH_MAX) return;
  if (typeof value === "string") {
    if (/^https?:\/\//i.test(value) && URL.canParse(value)) hosts.add(new URL(value).hostname);
  } else if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) collect(part, hosts, depth + 1);
  }
}

/** The url, parsed; throws an Error that says what was wanted when it may not be called. */
export function checkedTarget(text: string, named: ReadonlySet<string>): URL {
  const refuse = (wanted: string) => new Error(`cannot fetch ${JSON.stringify(text)}: wanted ${wanted}`);
  if (!URL.canParse(text)) throw refuse("an absolute url");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("http or https");
  if (named.has(url.hostname)) return url;
  if (url.protocol !== "https:") throw refuse("https, or a host that the filter's options name");
  if (isPrivate(url.hostname)) throw refuse("a public host, or one that the filter's options name");
  return url;
}

/** Names that resolve inside, by convention or through a search list; names are not resolved here. */
const PRIVATE_SUFFIXES = ["localhost", "local", "internal", "home.arpa", "mesh"];

function isPrivate(hostname: string): boolean {
  if (hostname.startsWith("[")) return !isPublicVersion6(hostname.slice(1, -1));
  // The URL class writes every spelling of an IPv4 address with four decimal parts.
  const parts = hostname.split(".");
  if (parts.length === 4 && parts.every((part) => /^\d+$/.test(part)))
    return isPrivateVersion4(parts.map(Number));
  const name = hostname.replace(/\.$/, "");
  if (!name.includes(".")) return true;
  return PRIVATE_SUFFIXES.some((suffix) => name.endsWith(`.${suffix}`));
}

/** Blocks that are not globally reachable (RFC 6890 and its registry), multicast and reserved. */
function isPrivateVersion4(parts: readonly number[]): boolean {
  const [a = 0, b = 0, c = 0] = parts;
  if (a === 0 || a === 10 || a === 127 || a >= 224) return true;
  if (a === 100) return b >= 64 && b <= 127;
  if (a === 169) return b === 254;
  if (a === 172) return b >= 16 && b <= 31;
  if (a === 192) return b === 168 || (b === 0 && (c === 0 || c === 2));
  if (a === 198) return b === 18 || b === 19 || (b === 51 && c === 100);
  return a === 203 && b === 0 && c === 113;
}

/** Global unicast is 2000::/3; in it, Teredo, documentation and 6to4 lead elsewhere. */
function isPublicVersion6(address: string): boolean {
  const [first = "", second = ""] = address.split(":");
  const high = Number.parseInt(first || "0", 16);
  if (high < 0x2000 || high > 0x3fff || high === 0x2002) return false;
  const next = Number.parseInt(second || "0", 16);
  return !(high === 0x2001 && (next < 0x200 || next === 0xdb8)) && !(high === 0x3fff && next < 0x1000);
}
