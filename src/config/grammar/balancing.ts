/** The grammar of how a service's endpoints share its requests. */
import { z } from "zod";
import { key } from "../../key-schema.ts";
import type { LoadBalancing } from "../../snapshot.ts";
import { duration } from "../../units.ts";
import { count, deadline, share } from "./values.ts";

const policies = ["least-latency", "round-robin", "least-request", "random"] as const;
const policyWanted = `wanted ${policies.join(", ")}, or a map { ring-hash: { key: … } }`;

const ringHash = z.strictObject({
  "ring-hash": z
    .strictObject({
      key: key().describe("What requests have in common; a cookie that a caller does not send is set"),
    })
    .describe("Requests with the same key go to the same endpoint"),
});

/** The map comes first: what is wrong in it is then told, and not that it is none of the names. */
export const loadBalancingGrammar: z.ZodType<LoadBalancing> = z.union([
  ringHash.transform(({ "ring-hash": { key } }): LoadBalancing => ({ policy: "ring-hash", key })),
  z
    .enum(policies, {
      error: ({ input }) => {
        if (input === "ring-hash") return "wanted a key with it, such as { ring-hash: { key: ip } }";
        return typeof input === "string" ? policyWanted : `wanted ${policies.join(", ")}`;
      },
    })
    .transform((policy): LoadBalancing => ({ policy })),
]);

export const outlierDetectionGrammar = z.strictObject({
  consecutiveErrors: count(1, 1_000_000)
    .default(5)
    .describe("Failures in a row that eject an endpoint: a status from 500 on, or no answer at all"),
  ejection: deadline()
    .prefault("30s")
    .describe("How long it then gets nothing, times the ejections in a row"),
  maxEjection: deadline().prefault("5m").describe("The longest ejection"),
  maxEjected: share().prefault("50%").describe("The part of the endpoints that may be ejected at a time"),
});

export const balancingFields = {
  loadBalancing: loadBalancingGrammar
    .prefault("least-latency")
    .describe(
      "How an endpoint is chosen: the one that answers sooner of two, each in turn, the one with fewer requests of two, any, or by a key",
    ),
  slowStart: duration({ minMs: 0 })
    .prefault("0s")
    .describe("How long the share of an endpoint that comes later grows, from a tenth on"),
  panic: share()
    .prefault("50%")
    .describe("Where less than this part of the endpoints is well, all are used, well or not"),
  outlierDetection: outlierDetectionGrammar
    .describe("Takes an endpoint out for a while that keeps failing")
    .optional(),
};
