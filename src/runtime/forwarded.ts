/**
 * What a forwarded request says about where it came from: X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239),
 * Via (RFC 9110 section 7.6.3), and in a mesh x-clearway-identity.
 *
 * What a caller says under these names is believed only as far as trusted proxies stand before this node: with N
 * `trustedHops`, the last N entries of each list. The rest is dropped, and so is everything from the first entry, counted from
 * the right, that is none. The codec copies none of these fields but Via, to which one more line is added.
 */
import type { FieldTable } from "../types.ts";
import { spells, text } from "./http1/characters.ts";

export interface ForwardedConnection {
  /** The peer's address as the socket says; anything but an IP address (a unix socket) is written as `unknown`. */
  readonly remoteAddress: string;
  readonly scheme: "http" | "https";
  readonly trustedHops: number;
  /** This node's name in Via: a token. */
  readonly pseudonym: string;
  /** What the caller proved in a mesh; null for nothing, or outside of one. */
  readonly identity: string | null;
}

export interface ForwardedRequest {
  /** A valid host with or without port; empty when the caller named none. */
  readonly authority: string;
  /** The protocol version in which the request came, as Via writes it. */
  readonly version: "1.0" | "1.1" | "2";
  readonly fields: FieldTable;
}

/** What came under the names of this file: of each the values of all its fields, joined as one list. */
interface Incoming {
  addresses: string;
  schemes: string;
  hosts: string;
  elements: string;
}

const nothingIncoming: Incoming = { addresses: "", schemes: "", hosts: "", elements: "" };
const listNames = new Map<number, readonly [string, keyof Incoming]>([
  [15, ["x-forwarded-for", "addresses"]],
  [17, ["x-forwarded-proto", "schemes"]],
  [16, ["x-forwarded-host", "hosts"]],
  [9, ["forwarded", "elements"]],
]);

const nothing = Buffer.alloc(0);
/** Longer lines are made anew for each request: a connection that waits for its next one must not cost what a caller chose. */
const keptBytesMax = 1024;

/**
 * For one connection. The lines of the last request are kept: without trusted hops all requests for one authority have
 * the same, and behind a proxy they mostly differ in the caller's address alone.
 */
export class Forwarder {
  private readonly address: string;
  private readonly node: string;
  /** What the kept lines were made of. */
  private authority = "";
  private version: ForwardedRequest["version"] | null = null;
  private incoming = nothingIncoming;
  /** Without X-Forwarded-For, which is the first line. */
  private linesAfter = "";
  private allLines: Buffer = nothing;

  constructor(private readonly connection: ForwardedConnection) {
    this.address = nodeAddress(connection.remoteAddress) ?? "unknown";
    this.node = this.address.includes(":") ? `"[${this.address}]"` : this.address;
  }

  /** The field lines to add, each with its CRLF. The bytes are not written again. */
  lines({ authority, version, fields }: ForwardedRequest): Buffer {
    const incoming = this.trustedIncoming(fields);
    const before = this.incoming;
    const isNew =
      authority !== this.authority ||
      version !== this.version ||
      incoming.schemes !== before.schemes ||
      incoming.hosts !== before.hosts ||
      incoming.elements !== before.elements;
    if (isNew) {
      this.authority = authority;
      this.version = version;
      this.linesAfter = this.composeAfter(incoming) + viaLine(version, this.connection.pseudonym);
    }
    if (isNew || incoming.addresses !== before.addresses) {
      this.incoming = incoming;
      const hops = this.trustedEntries(incoming.addresses, isNode);
      const line = `X-Forwarded-For: ${hops}${hops === "" ? "" : ", "}${this.address}\r\n`;
      this.allLines = Buffer.from(line + this.linesAfter, "latin1");
    }
    const lines = this.allLines;
    if (lines.length > keptBytesMax) this.forget();
    return lines;
  }

  private forget(): void {
    this.authority = "";
    this.version = null;
    this.incoming = nothingIncoming;
    this.linesAfter = "";
    this.allLines = nothing;
  }

  /** The caller's address: what the outermost trusted proxy wrote, else the socket's; `unknown` for a unix socket. */
  callerAddress(fields: FieldTable): string {
    const { addresses } = this.trustedIncoming(fields);
    if (addresses === "") return this.address;
    const hops = this.trustedEntries(addresses, isNode);
    const [outermost = ""] = hops.split(",", 1);
    return hops === "" ? this.address : (nodeAddress(outermost.trim()) ?? "unknown");
  }

  /** Whether the caller came by https: what the outermost trusted proxy wrote, else this connection's. */
  callerScheme(fields: FieldTable): "http" | "https" {
    const { schemes } = this.trustedIncoming(fields);
    const written = this.trustedValue(schemes, schemePattern)?.toLowerCase();
    if (written === undefined) return this.connection.scheme;
    return written === "https" || written === "wss" ? "https" : "http";
  }

  private trustedIncoming(fields: FieldTable): Incoming {
    return this.connection.trustedHops > 0 ? readIncoming(fields) : nothingIncoming;
  }

  private composeAfter(incoming: Incoming): string {
    const scheme = this.trustedValue(incoming.schemes, schemePattern) ?? this.connection.scheme;
    const host = this.trustedValue(incoming.hosts, authorityPattern) ?? this.authority;
    const elements = this.trustedElements(incoming.elements);
    return (
      `X-Forwarded-Proto: ${scheme}\r\n` +
      (host === "" ? "" : `X-Forwarded-Host: ${host}\r\n`) +
      `Forwarded: ${elements}${elements === "" ? "" : ", "}${this.ownElement(this.authority)}\r\n` +
      identityLine(this.connection.identity)
    );
  }

  private ownElement(authority: string): string {
    const host = tokenPattern.test(authority) ? authority : `"${authority}"`;
    return `for=${this.node}${authority === "" ? "" : `;host=${host}`};proto=${this.connection.scheme}`;
  }

  /** The end of a list: at most one entry for each trusted hop, up to the first, from the right, that is not valid. */
  private trustedEntries(list: string, isValid: (entry: string) => boolean): string {
    let start = list.length;
    for (let end = start, hops = this.connection.trustedHops; hops > 0 && end > 0; ) {
      const comma = list.lastIndexOf(",", end - 1);
      const entry = list.slice(comma + 1, end).trim();
      end = comma;
      if (entry === "") continue;
      if (!isValid(entry)) break;
      start = comma + 1;
      hops -= 1;
    }
    return list.slice(start).trim();
  }

  /** The value that the outermost trusted proxy wrote; null when there is none or it is not well-formed. */
  private trustedValue(list: string, wellFormed: RegExp): string | null {
    if (list === "") return null;
    const [outermost = ""] = this.trustedEntries(list, () => true).split(",", 1);
    const value = outermost.trim();
    return wellFormed.test(value) ? value : null;
  }

  private trustedElements(list: string): string {
    if (list === "") return "";
    return (forwardedElements(list) ?? []).slice(-this.connection.trustedHops).join(", ");
  }
}

/** What a caller says under this name the codec never passes on, also when `Connection` names it (CVE-2026-105299). */
function identityLine(identity: string | null): string {
  return identity === null ? "" : `x-clearway-identity: ${identity}\r\n`;
}

/** Names and values of all these lines but Via's. */
export function provenanceFields(lines: Buffer): (readonly [string, string])[] {
  const texts = lines.toString("latin1").split("\r\n");
  return texts.flatMap((line) => {
    const colon = line.indexOf(": ");
    const name = line.slice(0, colon);
    return colon < 0 || name === "Via" ? [] : [[name, line.slice(colon + 2)] as const];
  });
}

/** The line that this node adds to a request or response that it forwards. */
export function viaLine(version: ForwardedRequest["version"], pseudonym: string): string {
  return `Via: ${version} ${pseudonym}\r\n`;
}

/** Whether a Via value (several fields: joined with commas) names this node, so that the request was here before. */
export function viaHasLoop(via: string, pseudonym: string): boolean {
  if (!via.includes(pseudonym)) return false;
  return withoutComments(via)
    .split(",")
    .some((entry) => entry.trim().split(/[ \t]+/)[1] === pseudonym);
}

/** Comments nest and may hold commas (RFC 9110 section 5.6.5). */
function withoutComments(value: string): string {
  let depth = 0;
  let kept = "";
  for (let at = 0; at < value.length; at += 1) {
    const character = value[at]!;
    if (character === "\\" && depth > 0) at += 1;
    else if (character === "(") depth += 1;
    else if (character === ")" && depth > 0) depth -= 1;
    else if (depth === 0) kept += character;
  }
  return kept;
}

function readIncoming({ bytes, offsets, count }: FieldTable): Incoming {
  let incoming = nothingIncoming;
  for (let place = 0; place < 4 * count; place += 4) {
    const [start, end] = [offsets[place]!, offsets[place + 1]!];
    const known = listNames.get(end - start);
    if (known === undefined || !spells(bytes, start, end, known[0])) continue;
    const value = text(bytes, offsets[place + 2]!, offsets[place + 3]!);
    if (incoming === nothingIncoming) incoming = { ...nothingIncoming };
    const before = incoming[known[1]];
    incoming[known[1]] = before === "" ? value : `${before}, ${value}`;
  }
  return incoming;
}

const tokenPattern = /^[\w!#$%&'*+.^`|~-]+$/;
const schemePattern = /^(https?|wss?)$/i;
/** A host, with or without port; 255 characters are more than any name of DNS has, the port apart. */
const authorityPattern = /^([\w\-.~!$&'()*+;=%]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/;
const ipv4Pattern = /^(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?$/;
/** Alone, or in brackets with or without port; with at most a zone. Its meaning is not checked. */
const ipv6Pattern = /^(?:\[([0-9a-f:.]{2,45})\](?::\d{1,5})?|([0-9a-f:.]{2,45})(?:%[\w.~-]{1,32})?)$/i;

/** An entry of X-Forwarded-For that a proxy writes. */
function isNode(entry: string): boolean {
  return ipv4Pattern.test(entry) || entry === "unknown" || nodeAddress(entry) !== null;
}

/** The address alone, in lower case, of an entry `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`. */
function nodeAddress(entry: string): string | null {
  const ipv4 = ipv4Pattern.exec(entry);
  if (ipv4 !== null) return ipv4[1]!;
  const match = ipv6Pattern.exec(entry);
  const ipv6 = (match?.[1] ?? match?.[2])?.toLowerCase();
  if (ipv6 === undefined || ipv6.indexOf(":") === ipv6.lastIndexOf(":")) return null;
  // A listener for both families shows an IPv4 peer so.
  return ipv6.startsWith("::ffff:") && ipv6.includes(".") ? ipv6.slice(7) : ipv6;
}

const forwardedPair =
  /([\w!#$%&'*+.^`|~-]+)=(?:[\w!#$%&'*+.^`|~-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*")/y;
const listGap = /[ \t]*,[ \t,]*/y;

/** The elements of a Forwarded value as they are; null when it breaks the grammar of RFC 7239 section 4. */
function forwardedElements(list: string): string[] | null {
  const elements: string[] = [];
  const end = list.length;
  let names = new Set<string>();
  for (let at = 0, start = 0; at < end; ) {
    forwardedPair.lastIndex = at;
    const pair = forwardedPair.exec(list);
    const name = pair?.[1]?.toLowerCase();
    if (pair === null || name === undefined || names.has(name)) return null;
    names.add(name);
    at = forwardedPair.lastIndex;
    if (list[at] === ";") {
      at += 1;
      if (at === end) return null;
      continue;
    }
    elements.push(list.slice(start, at));
    listGap.lastIndex = at;
    if (at < end && !listGap.test(list)) return null;
    at = at < end ? listGap.lastIndex : end;
    start = at;
    names = new Set();
  }
  return elements;
}
