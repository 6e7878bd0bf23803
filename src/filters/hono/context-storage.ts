/** Downstream. Lets code further inside find Hono's context by `getContext()`; does nothing by itself. */
import { contextStorage } from "hono/context-storage";
import { factoryFilter, noArgument } from "../factory.ts";

export default factoryFilter({
  name: "hono/context-storage",
  summary: "Lets filters further inside find the context by getContext()",
  options: noArgument(),
  factory: contextStorage,
});
