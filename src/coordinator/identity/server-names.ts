/** What the coordinator's certificate says beside `coordinator.mesh`, for clients that look for what they dialled. */
import { z } from "zod";
import { coordinatorName, type ServerNames } from "./authority.ts";

const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** Addresses that mean every address of the machine: nobody dials them. */
const unspecified = new Set(["0.0.0.0", "::"]);
const namesMax = 32;
const ip = z.union([z.ipv4(), z.ipv6()]);

/** `given`: as after `--name`. Throws an Error that quotes what is wrong. */
export function serverNames(bindHost: string, given: readonly string[]): ServerNames {
  if (given.length > namesMax)
    throw new Error(`${given.length} names after --name: wanted at most ${namesMax}`);
  const dns = new Set(["localhost"]);
  const addresses = new Set(["127.0.0.1", "::1"]);
  for (const name of [...(unspecified.has(bindHost) ? [] : [bindHost]), ...given]) {
    const lower = name.toLowerCase();
    if (ip.safeParse(lower).success) addresses.add(lower);
    else if (!dnsName.test(lower)) {
      throw new Error(
        `cannot read ${JSON.stringify(name)} after --name: wanted a host such as mesh.internal or 10.0.0.1`,
      );
    } else if (lower.endsWith(".mesh") && lower !== coordinatorName) {
      throw new Error(
        `cannot take ${JSON.stringify(name)} after --name: names in .mesh are those of services`,
      );
    } else dns.add(lower);
  }
  dns.delete(coordinatorName);
  return { dns: [...dns], addresses: [...addresses] };
}
