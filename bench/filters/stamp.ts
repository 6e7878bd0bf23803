/** A user's own filter, for clearway-script.yaml: it sets one header of the answer. */
import { defineFilter, z } from "clearway/plugin";

export default defineFilter({
  name: "stamp",
  summary: "Sets x-bench",
  options: z.strictObject({}),
  middleware: () => async (c, next) => {
    await next();
    c.header("x-bench", "script");
  },
});
