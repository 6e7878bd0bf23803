/** Downstream. Refuses with 403 forms that another site sends: by `sec-fetch-site`, else by `origin`. */
import { csrf } from "hono/csrf";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const site = z.enum(["same-origin", "same-site", "none", "cross-site"]);
const options = z.strictObject({
  origin: z
    .union([z.string(), z.array(z.string())])
    .describe("the origin that may send forms, or a list of several; the request's own")
    .exactOptional(),
  secFetchSite: z
    .union([site, z.array(site)])
    .describe("what sec-fetch-site may say; same-origin")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/csrf",
  summary: "Refuses forms that other sites send",
  options: maybeArgument(options),
  factory: csrf,
});
