/** `0.0.0.0:8080`, `:8080`, `[::]:8080`, `localhost:8080`, `unix:/path` -> Address, and back. */
import { z } from "zod";
import type { Address } from "../machine.ts";
import { directoryOf, joinPath } from "./file-path.ts";
import type { Part } from "./located.ts";
import type { Report } from "./problem.ts";

const bindWanted = 'wanted an address such as 0.0.0.0:8080, :8080, "[::]:8080" or unix:/run/clearway.sock';
const endpointWanted =
  'wanted an address such as 10.0.0.1:9000, "[fd00::1]:9000", orders.internal:9000 or unix:/run/app.sock';
/** What a socket address holds on Linux, without its final zero (unix(7)). */
const unixPathBytesMax = 107;

const dnsWanted =
  "wanted NAME:PORT such as orders.internal:9000, or the name of SRV records such as _http._tcp.orders.internal";
const serverWanted =
  'wanted the IP address of a DNS server, with or without a port: 10.0.0.2, 127.0.0.1:5353 or "[fd00::2]:53"';
const dnsPort = 53;

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
    return isLiteral(host) || isName(host) ? { host: bare(host), port } : null;
  });
}

/** A name to look up, in lower case; without a port it has SRV records. */
export function dnsNameAndPort(): z.ZodType<{ name: string; port?: number }, string> {
  return textType(dnsWanted, (text) => {
    const [, name = "", port] = /^([^:]*)(?::(\d{1,5}))?$/.exec(text.toLowerCase()) ?? [];
    if (!isName(name)) return null;
    if (port === undefined) return { name };
    return Number(port) > 0 && Number(port) <= 65_535 ? { name, port: Number(port) } : null;
  });
}

export function dnsNameOnly(): z.ZodType<string, string> {
  const wanted = "wanted a name such as orders.internal";
  return textType(wanted, (text) => (isName(text.toLowerCase()) ? text.toLowerCase() : null));
}

export function serverAddress(): z.ZodType<{ host: string; port: number }, string> {
  return textType(serverWanted, (text) => {
    const whole = /:\d+$/.test(text) ? text : `${text}:${dnsPort}`;
    const found = parse(whole, (host, port) =>
      isLiteral(host) && port > 0 ? { host: bare(host), port } : null,
    );
    return found === null || "unixPath" in found ? null : found;
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
  return textType(wanted, (text) => parse(text, read));
}

function textType<Value>(wanted: string, read: (text: string) => Value | null): z.ZodType<Value, string> {
  return z.string({ error: wanted }).transform((text, context): Value => {
    const found = read(text);
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

/** One whose last label is a number would be an IPv4 address with a mistake in it. */
function isName(host: string): boolean {
  return dnsName.test(host) && !/(^|\.)\d+\.?$/.test(host);
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
