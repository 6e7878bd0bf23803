/** Downstream. Refuses with 413 a body that is too large; one whose length nobody told is read whole first. */
import { bodyLimit } from "hono/body-limit";
import { z } from "../../plugin.ts";
import { factoryFilter, oneArgument } from "../factory.ts";

export default factoryFilter({
  name: "hono/body-limit",
  summary: "Refuses bodies that are too large",
  options: oneArgument(
    z.strictObject({ maxSize: z.int().min(0).describe("the most that passes, in bytes") }),
  ),
  factory: bodyLimit,
});
