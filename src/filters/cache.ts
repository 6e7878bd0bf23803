/**
 * Upstream. Keeps answers that their service allows to be shared, and gives them to whoever asks for the same again
 * (RFC 9111). Standing around the sending, it comes after every filter that asks who may: nobody gets what is kept
 * who would not have got through to the service, and what those filters add to an answer is never kept.
 */
import { defineFilter, duration, size, z } from "../plugin.ts";
import { SharedCache } from "./cache/shared-cache.ts";
import { headerName } from "./header-name.ts";

const MEBIBYTE = 1024 * 1024;
/** Half of the memory is for answers on their way in: one of them must not need all of that. */
const BODIES_IN_MEMORY_MIN = 4;

const options = z
  .strictObject({
    memory: size({ minBytes: MEBIBYTE })
      .default(64 * MEBIBYTE)
      .describe("all that is kept, in each worker"),
    bodyMax: size({ minBytes: 1, maxBytes: 4 * MEBIBYTE })
      .default(MEBIBYTE)
      .describe("largest body that is kept, others pass; at most a quarter of the memory"),
    ttl: duration()
      .exactOptional()
      .describe("how long answers are fresh that say nothing of it; without it they are not kept"),
    staleWhileRevalidate: duration()
      .exactOptional()
      .describe(
        "how long a stale answer is given while the service is asked, where the answer does not say so itself; without it not at all",
      ),
    staleIfError: duration()
      .exactOptional()
      .describe(
        "how long a stale answer is given when the service fails, where the answer does not say so itself; without it not at all",
      ),
    wait: duration({ maxMs: 60_000 })
      .default(5000)
      .describe("how long a request waits for another one's answer before it is sent itself"),
    setCookie: z
      .enum(["pass", "store"], "wanted pass or store")
      .default("pass")
      .describe("what becomes of answers that set a cookie: they pass and are not kept, or are"),
    targets: z
      .array(headerName)
      .max(4)
      .default([])
      .describe(
        "fields that count in place of Cache-Control and Expires, such as CDN-Cache-Control: the first that an answer has",
      ),
    status: z.boolean().default(true).describe("whether answers say in Cache-Status what the cache did"),
  })
  .refine(({ memory, bodyMax }) => bodyMax * BODIES_IN_MEMORY_MIN <= memory, {
    path: ["bodyMax"],
    message: "wanted at most a quarter of the memory",
  });

export default defineFilter({
  name: "cache",
  summary: "Keeps answers that may be shared, and gives them without asking the service again",
  options,
  upstream: ({ ttl = 0, staleWhileRevalidate = 0, staleIfError = 0, ...given }, tools) => {
    const cache = new SharedCache({ ...given, ttl, staleWhileRevalidate, staleIfError }, tools);
    return (call, send) => cache.answer(call, send);
  },
});
