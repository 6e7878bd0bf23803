/** A resolver on real sockets, with files of the test's own. */
import { systemClock } from "../../../src/host/clock/node.ts";
import { systemDatagrams } from "../../../src/host/datagrams/node.ts";
import { systemRandom } from "../../../src/host/random/node.ts";
import { bunSockets } from "../../../src/host/sockets/bun.ts";
import type { Datagrams } from "../../../src/machine.ts";
import { Resolver, type ResolverParts } from "../../../src/node/dns/resolver.ts";
import type { DnsConfig } from "../../../src/snapshot.ts";

/** Real to the servers of tests; every other address has a route, whatever machine this is. */
const datagrams: Datagrams = {
  connect: async (peer, owner) =>
    peer.host === "127.0.0.1" ? systemDatagrams.connect(peer, owner) : { send() {}, close() {} },
};

export const hostParts: Omit<ResolverParts, "files"> = {
  clock: systemClock,
  random: systemRandom(),
  sockets: bunSockets,
  datagrams,
};

export type SystemTexts = Readonly<Record<"hosts" | "resolver", string>>;

export function filesOf({ hosts, resolver }: SystemTexts) {
  return { read: async (path: string) => (path === "/etc/hosts" ? hosts : resolver) };
}

export interface Resolving {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly timeoutMs?: number;
  readonly texts?: Partial<SystemTexts>;
  readonly parts?: Partial<ResolverParts>;
}

export function resolverOf({ servers, timeoutMs = 10_000, texts, parts }: Resolving): Resolver {
  const files = filesOf({ hosts: "", resolver: "", ...texts });
  const resolver = new Resolver({ ...hostParts, files, ...parts });
  resolver.configure({ servers, timeoutMs });
  return resolver;
}

/** `NAME:PORT` or `NAME`, as a config writes it. */
export function dnsOf(text: string): DnsConfig {
  const [name = "", port] = text.split(":");
  const records = port === undefined ? "srv" : "address";
  return {
    name,
    port: port === undefined ? null : Number(port),
    records,
    refreshMinMs: 1000,
    refreshMaxMs: 300_000,
  };
}

/** `10.0.0.1:80`, with `*3` for a weight of 3. */
export async function endpointsOf(resolver: Resolver, text: string): Promise<readonly string[] | string> {
  const { result, endpoints, problem } = await resolver.find(dnsOf(text));
  if (result !== "found") return `${result}: ${problem}`;
  return endpoints.map(({ address, weight }) => {
    if ("unixPath" in address) throw new Error("a name has no unix path");
    const host = address.host.includes(":") ? `[${address.host}]` : address.host;
    return `${host}:${address.port}${weight === 1 ? "" : `*${weight}`}`;
  });
}
