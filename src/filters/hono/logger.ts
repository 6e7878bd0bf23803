/** Downstream. One line on stdout when a request comes, one when its answer goes: for looking on while developing. */
import { logger } from "hono/logger";
import { factoryFilter, noArgument } from "../factory.ts";

export default factoryFilter({
  name: "hono/logger",
  summary: "Two lines for people on stdout for each request; access-log is the one for machines",
  options: noArgument(),
  factory: logger,
});
