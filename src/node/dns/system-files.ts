/** What this machine says about names: /etc/hosts (hosts(5)) and /etc/resolv.conf (resolv.conf(5)). */
import type { Clock, Files } from "../../machine.ts";
import type { NameServer } from "./exchange.ts";

export interface ResolverFile {
  readonly servers: readonly NameServer[];
  /** Suffixes for names that are not complete. */
  readonly search: readonly string[];
  /** A name with as many dots is first asked for as it is. */
  readonly dots: number;
}

/** Addresses by name, in lower case. */
export type HostsFile = ReadonlyMap<string, readonly string[]>;

export const DNS_PORT = 53;
/** As the C library has it. */
const SERVERS_MAX = 3;
const SEARCH_MAX = 6;
const DOTS_MAX = 15;
/** The files are read again after this long, when a name is asked for. */
export const REREAD_MS = 5_000;

const LOOPBACK_SERVER: NameServer = { host: "127.0.0.1", port: DNS_PORT };

export function parseResolverFile(text: string): ResolverFile {
  const servers: NameServer[] = [];
  let search: readonly string[] = [];
  let dots = 1;
  for (const [key = "", ...values] of wordsOf(text, /^[#;].*/)) {
    if (key === "nameserver" && values[0] !== undefined) servers.push({ host: values[0], port: DNS_PORT });
    // The last of them counts.
    if (key === "search" || key === "domain") search = values.slice(0, SEARCH_MAX).map(plainName);
    if (key === "options") dots = dotsOf(values) ?? dots;
  }
  const known = servers.slice(0, SERVERS_MAX);
  return {
    servers: known.length === 0 ? [LOOPBACK_SERVER] : known,
    search: search.filter((name) => name !== ""),
    dots,
  };
}

function dotsOf(options: readonly string[]): number | null {
  const written = options.findLast((option) => /^ndots:\d+$/.test(option));
  return written === undefined ? null : Math.min(DOTS_MAX, Number(written.slice("ndots:".length)));
}

export function parseHostsFile(text: string): HostsFile {
  const hosts = new Map<string, string[]>();
  for (const [address = "", ...names] of wordsOf(text, /#.*/)) {
    for (const name of names.map(plainName)) {
      const known = hosts.get(name) ?? [];
      if (!known.includes(address)) known.push(address.toLowerCase());
      hosts.set(name, known);
    }
  }
  return hosts;
}

/** The names to ask for, in this order: one that ends with a dot, or needs no search, is asked for as it is. */
export function candidatesOf(
  name: string,
  { search, dots }: Pick<ResolverFile, "search" | "dots">,
): string[] {
  const plain = plainName(name);
  if (name.endsWith(".")) return [plain];
  const searched = search.map((suffix) => `${plain}.${suffix}`);
  const complete = plain.split(".").length > dots;
  return complete ? [plain, ...searched] : [...searched, plain];
}

/** Lower case, without the last dot. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function wordsOf(text: string, comment: RegExp): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim().replace(comment, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.split(/\s+/));
}

/** The two files as they are now, or were a few seconds ago. A file that is not there is empty. */
export class SystemFiles {
  readonly #hosts: KeptFile<HostsFile>;
  readonly #resolver: KeptFile<ResolverFile>;

  constructor(files: Pick<Files, "read">, clock: Clock) {
    this.#hosts = new KeptFile(files, clock, { path: "/etc/hosts", parse: parseHostsFile });
    this.#resolver = new KeptFile(files, clock, { path: "/etc/resolv.conf", parse: parseResolverFile });
  }

  hosts(): Promise<HostsFile> {
    return this.#hosts.read();
  }

  resolver(): Promise<ResolverFile> {
    return this.#resolver.read();
  }
}

class KeptFile<Content> {
  readonly #read: () => Promise<string>;
  readonly #clock: Clock;
  readonly #parse: (text: string) => Content;
  #kept: { readonly text: string; readonly content: Content } | null = null;
  #readAtMs = -Infinity;
  #reading: Promise<Content> | null = null;

  constructor(
    files: Pick<Files, "read">,
    clock: Clock,
    { path, parse }: { readonly path: string; parse(text: string): Content },
  ) {
    this.#read = () => files.read(path).catch(() => "");
    this.#clock = clock;
    this.#parse = parse;
  }

  async read(): Promise<Content> {
    if (this.#kept !== null && this.#clock.now() - this.#readAtMs < REREAD_MS) return this.#kept.content;
    this.#reading ??= this.#readAgain().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readAgain(): Promise<Content> {
    const text = await this.#read();
    this.#readAtMs = this.#clock.now();
    if (this.#kept?.text !== text) this.#kept = { text, content: this.#parse(text) };
    return this.#kept.content;
  }
}
