/** What a rate limit takes. */
import { duration, key, z } from "../../plugin.ts";
import { storeOption } from "./store-address.ts";

export const rateLimitOptions = z.strictObject({
  requests: z.int().min(1).max(1_000_000).describe("how many requests may pass, of each key"),
  per: duration().describe("in which time"),
  burst: z
    .int()
    .min(1)
    .max(1_000_000)
    .exactOptional()
    .describe("how many may pass at once after a rest; without it as many as `requests`"),
  key: key()
    .default({ by: "ip" })
    .describe("what requests are counted by; one that has no such thing is counted by its address"),
  keys: z
    .int()
    .min(1)
    .max(500_000)
    .default(30_000)
    .describe("keys that are told apart at the same time; beyond, those that owe least are forgotten"),
  store: storeOption
    .exactOptional()
    .describe(
      "where nodes share the limit: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss://, or unix:///PATH; without it each node counts for itself",
    ),
  storeTimeout: duration({ maxMs: 10_000 })
    .default(100)
    .describe("how long a request waits for the store before its node counts for itself"),
  headers: z
    .boolean()
    .default(true)
    .describe("whether answers say what is left, in RateLimit and RateLimit-Policy"),
  mode: z
    .enum(["enforce", "audit"])
    .default("enforce")
    .describe("audit counts what would be refused, and lets it pass"),
});

export type RateLimitOptions = z.output<typeof rateLimitOptions>;
