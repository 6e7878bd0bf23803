/** Downstream. Says in `server-timing` how long the request took, and what filters further inside measured. */
import { timing } from "hono/timing";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  total: z.boolean().describe("whether the whole time is said; true").exactOptional(),
  enabled: z.boolean().describe("whether anything is said; true").exactOptional(),
  totalDescription: z.string().describe("what the whole time is called; Total Response Time").exactOptional(),
  autoEnd: z.boolean().describe("whether timers that run at the end are ended; true").exactOptional(),
  crossOrigin: z
    .union([z.boolean(), z.string()])
    .describe("which other sites may read it: true is every one; false")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/timing",
  summary: "Says in server-timing how long the request took",
  options: maybeArgument(options),
  factory: timing,
});
