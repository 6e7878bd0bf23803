import { defineFilter, z } from "clearway/plugin";

export default defineFilter({
  name: "served-by",
  summary: "Says in a header of the answer who made it",
  options: z.strictObject({ header: z.string(), value: z.string() }),
  middleware: (options) => async (c, next) => {
    await next();
    c.header(options.header, options.value);
  },
});
