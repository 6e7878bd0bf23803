/** `0.0.0.0:8080`, `:8080`, `[::]:8080`, `localhost:8080`, `unix:/path` -> Address, and back. */
import { z } from "zod";
import type { Address } from "../types.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import type { Part } from "./located.ts";
import type { Report } from "./problem.ts";

const bindWanted = 'wanted an address such as 0.0.0.0:8080, :8080, "[::]:8080" or unix:/run/clearway.sock';
const endpointWanted =
  'wanted an address such as 10.0.0.1:9000, "[fd00::1]:9000", orders.internal:9000 or unix:/run/app.sock';
/** What a socket address holds on Linux, without its final zero (unix(7)). */
const unixPathBytesMax = 107;

const hostAndPort = /^(\[[^\]]*\]|[^:[\]]*):(\d{1,5})$/;
const ipv4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;
const dnsName =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/;

/** Where to listen; an empty host is 0.0.0.0, and port 0 lets the system choose. */
export function bindAddress(): z.ZodType<Address, string> {
  return addressType(bindWanted, (host, port) => {
    if (host === "") return { host: "0.0.0.0", port };
    return host === "localhost" || isLiteral(host) ? { host: bare(host), port } : null;
  });
}

/** Where a service listens; a name is resolved at each connect. */
export function endpointAddress(): z.ZodType<Address, string> {
  return addressType(endpointWanted, (host, port) => {
    if (port === 0) return null;
    // A name whose last label is a number would be an IPv4 address with a mistake in it.
    const named = dnsName.test(host) && !/(^|\.)\d+\.?$/.test(host);
    return isLiteral(host) || named ? { host: bare(host), port } : null;
  });
}

/** As a config writes it. */
export function formatAddress(address: Address): string {
  if ("unixPath" in address) return `unix:${address.unixPath}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function addressType(
  wanted: string,
  read: (host: string, port: number) => Address | null,
): z.ZodType<Address, string> {
  return z.string({ error: wanted }).transform((text, context): Address => {
    const found = parse(text, read);
    if (found !== null) return found;
    context.addIssue({ code: "custom", message: wanted, input: text });
    return z.NEVER;
  });
}

function parse(text: string, read: (host: string, port: number) => Address | null): Address | null {
  if (text.startsWith("unix:")) {
    const unixPath = text.slice("unix:".length);
    return unixPath === "" || unixPath.includes("\0") ? null : { unixPath };
  }
  const match = hostAndPort.exec(text);
  const port = Number(match?.[2]);
  return match === null || port > 65_535 ? null : read(match[1]!.toLowerCase(), port);
}

function isLiteral(host: string): boolean {
  return ipv4.test(host) || (host.startsWith("[") && URL.canParse(`http://${host}/`));
}

function bare(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

/** A relative unix path is relative to the file that names it. Null when the socket cannot have that name. */
export function placeAddress(address: Address, part: Part, report: Report): Address | null {
  if (!("unixPath" in address)) return address;
  const unixPath = joinPath(directoryOf(part.node.range.file.name), address.unixPath);
  if (Buffer.byteLength(unixPath) <= unixPathBytesMax) return { unixPath };
  const message = `cannot use ${JSON.stringify(unixPath)}: wanted at most ${unixPathBytesMax} bytes, which is what a socket's name holds`;
  report.add(part.node.range, part.path, { message });
  return null;
}
