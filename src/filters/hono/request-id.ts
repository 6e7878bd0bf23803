/** Downstream. Takes or makes an id and answers with it; unlike `request-id` it does not pass it to the service. */
import { requestId } from "hono/request-id";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const options = z.strictObject({
  limitLength: z.int().min(0).describe("longer ones are replaced; 255").exactOptional(),
  headerName: z.string().describe("the field that carries it; X-Request-Id; empty for none").exactOptional(),
});

export default factoryFilter({
  name: "hono/request-id",
  summary: "Takes or makes a request id and answers with it; request-id passes it on as well",
  options: maybeArgument(options),
  factory: requestId,
});
