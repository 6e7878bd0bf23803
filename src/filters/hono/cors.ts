/** Downstream. Tells browsers which other sites may call; answers OPTIONS itself. */
import { cors } from "hono/cors";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  origin: z
    .union([z.string(), z.array(z.string())])
    .describe('the site that may call, or a list of several; "*" is every one, which is the default')
    .exactOptional(),
  allowMethods: z
    .array(z.string())
    .describe("methods that may be used; GET, HEAD, PUT, POST, DELETE, PATCH, QUERY")
    .exactOptional(),
  allowHeaders: z
    .array(z.string())
    .describe("header fields that may be sent; those that were asked for")
    .exactOptional(),
  maxAge: z.number().describe("how long a browser may remember this, in seconds").exactOptional(),
  credentials: z.boolean().describe("whether cookies may be sent; false").exactOptional(),
  exposeHeaders: z
    .array(z.string())
    .describe("header fields of the answer that scripts may read; none")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/cors",
  summary: "Lets browsers call from other sites (CORS)",
  options: maybeArgument(options),
  factory: cors,
});
