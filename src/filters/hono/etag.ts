/** Downstream. Answers 304 when the caller has the same already. Holds an answer without an etag to hash it. */
import { etag } from "hono/etag";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  retainedHeaders: z
    .array(z.string())
    .describe("fields that a 304 keeps; cache-control, content-location, date, etag, expires, vary")
    .exactOptional(),
  weak: z.boolean().describe("whether etags are weak; false").exactOptional(),
});

export default factoryFilter({
  name: "hono/etag",
  summary: "Gives answers an etag, and answers 304 to who has them already",
  options: maybeArgument(options),
  factory: etag,
});
