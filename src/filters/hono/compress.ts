/** Downstream. Compresses what the caller takes compressed and what is not so already. */
import { compress } from "hono/compress";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  encoding: z.enum(["gzip", "deflate"]).describe("the only coding; both without it").exactOptional(),
  threshold: z
    .int()
    .min(0)
    .describe("bodies known to be smaller stay as they are, in bytes; 1024")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/compress",
  summary: "Compresses answers with gzip or deflate",
  options: maybeArgument(options),
  factory: compress,
});
