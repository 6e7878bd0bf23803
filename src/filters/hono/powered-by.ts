/** Downstream. Sets `x-powered-by`. */
import { poweredBy } from "hono/powered-by";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

export default factoryFilter({
  name: "hono/powered-by",
  summary: "Sets x-powered-by",
  options: maybeArgument(
    z.strictObject({ serverName: z.string().describe("what it says; Hono").exactOptional() }),
  ),
  factory: poweredBy,
});
