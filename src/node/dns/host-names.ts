/** Hosts that a worker's callers name, looked up by the worker itself: what is asked for once is known to it alone. */
import type { HostNames } from "../../runtime/proxy/host-names.ts";
import type { DnsConfig, ResolverConfig } from "../../snapshot.ts";
import { Resolver, type ResolverParts } from "./resolver.ts";

/** Bounds on the records' own time to live. */
const refreshMinMs = 1_000;
const refreshMaxMs = 60_000;
/** No question has a port in it; the answer's is not looked at. */
const port = 1;

/** Labels of at most 63 characters, 253 in all (RFC 1035 section 2.3.4); underscores are in use. */
const nameForm = /^(?=.{1,254}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/;

export function hostNames(parts: ResolverParts, ownAddresses: () => readonly string[]): HostNames {
  const resolver = new Resolver(parts);
  return {
    async find(name, config: ResolverConfig) {
      if (!nameForm.test(name)) return { addresses: [], problem: `${name} is no name that DNS could know` };
      resolver.configure(config);
      const dns: DnsConfig = { name, port, records: "address", refreshMinMs, refreshMaxMs };
      const { endpoints, problem } = await resolver.find(dns);
      const addresses = endpoints.flatMap(({ address }) => ("host" in address ? [address.host] : []));
      return { addresses, problem: addresses.length > 0 ? null : problem };
    },
    own: async () => ownAddresses(),
  };
}
