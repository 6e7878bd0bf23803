/** Downstream. Indents JSON answers when the query asks for it. Holds them whole. */
import { prettyJSON } from "hono/pretty-json";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  space: z.int().min(0).max(10).describe("by how many spaces; 2").exactOptional(),
  query: z.string().describe("the field of the query that asks for it; pretty").exactOptional(),
  force: z.boolean().describe("always, whatever the query says; false").exactOptional(),
});

export default factoryFilter({
  name: "hono/pretty-json",
  summary: "Indents JSON answers when the query asks for it",
  options: maybeArgument(options),
  factory: prettyJSON,
});
