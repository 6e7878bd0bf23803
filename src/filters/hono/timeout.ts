/** Downstream. Answers 504 after a time; the route's own `timeout` also ends what is on its way to the service. */
import { timeout } from "hono/timeout";
import { z } from "../../plugin.ts";
import { factoryFilter, oneArgument } from "../factory.ts";

export default factoryFilter({
  name: "hono/timeout",
  summary: "Answers 504 after so many milliseconds",
  options: oneArgument(z.number().min(1).max(86_400_000).describe("milliseconds")),
  factory: timeout,
});
