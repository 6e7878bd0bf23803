/** Downstream. Two of them: redirects a path to the one without, or with, a slash at its end. */
import { appendTrailingSlash, trimTrailingSlash } from "hono/trailing-slash";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  alwaysRedirect: z
    .boolean()
    .describe("before the service is asked, instead of when it answered 404; false")
    .exactOptional(),
});

export const trim = factoryFilter({
  name: "hono/trailing-slash#trimTrailingSlash",
  summary: "Redirects /a/ to /a where the service answers 404",
  options: maybeArgument(options),
  factory: trimTrailingSlash,
});

export const append = factoryFilter({
  name: "hono/trailing-slash#appendTrailingSlash",
  summary: "Redirects /a to /a/ where the service answers 404",
  options: maybeArgument(options),
  factory: appendTrailingSlash,
});
