/**
 * Downstream. Lets pass by the caller's address: who is in `deny` never, and where there is an `allow`, nobody but who
 * is in it. The address is the connection's, or the one that the listener's `trustedHops` name. One that is not known
 * (a caller on a unix socket, a proxy that hides it) is in no network, and passes nowhere.
 */
import { defineFilter, z } from "../plugin.ts";
import { refusalOf } from "./refusal.ts";
import { BoundedMap } from "./who/bounded-map.ts";
import { addressGroups, isInside, type Network, networkWanted, parseNetwork } from "./who/networks.ts";

const NETWORKS_MAX = 10_000;
const KNOWN_BOUNDS = { entriesMax: 10_000, charactersMax: 512 * 1024 };

const network = z.string({ error: networkWanted }).transform((text, context): Network => {
  const parsed = parseNetwork(text);
  if ("groups" in parsed) return parsed;
  context.addIssue({ code: "custom", message: parsed.wanted, input: text });
  return z.NEVER;
});
const networks = z.array(network).max(NETWORKS_MAX).default([]);

const options = z
  .strictObject({
    allow: networks.describe("addresses and networks that pass; all that are not denied without it"),
    deny: networks.describe("addresses and networks that do not pass, allowed or not"),
  })
  .refine(({ allow, deny }) => allow.length + deny.length > 0, { error: "wanted allow, deny, or both" });

export default defineFilter({
  name: "ip-allow",
  summary: "Lets pass, or refuses, by the caller's address",
  options,
  middleware: ({ allow, deny }, { metrics }) => {
    const known = new BoundedMap<"passes" | "refused">(KNOWN_BOUNDS);
    const judge = (address: string): "passes" | "refused" => {
      const groups = addressGroups(address);
      if (groups === null) return "refused";
      const isIn = (list: readonly Network[]) => list.some((one) => isInside(groups, one));
      return !isIn(deny) && (allow.length === 0 || isIn(allow)) ? "passes" : "refused";
    };
    return (c, next) => {
      const address = c.env.remoteAddress;
      let verdict = known.get(address);
      if (verdict === undefined) {
        verdict = judge(address);
        known.set(address, verdict);
      }
      if (verdict === "passes") return next();
      metrics.count("ip_allow_refused");
      const sentence = "requests from this address are not taken";
      return Promise.resolve(refusalOf({ status: 403, reason: "forbidden", sentence }));
    };
  },
});
