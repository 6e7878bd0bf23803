/** Downstream. Asks for a token in `authorization`, and refuses with 401, or 400 when it cannot be one. */
import { bearerAuth } from "hono/bearer-auth";
import { type FilterEnvironment, secret, z } from "../../plugin.ts";
import { factoryFilter, oneArgument } from "../factory.ts";

const words = z.union([z.string(), z.record(z.string(), z.unknown())]);
const refusal = z.strictObject({
  wwwAuthenticateHeader: words.describe("the www-authenticate field of this refusal").exactOptional(),
  message: words.describe("its body: text, or a map sent as JSON").exactOptional(),
});

const options = z.strictObject({
  token: z.union([secret(), z.array(secret())]).describe("the token, or a list of several"),
  realm: z.string().describe("what the token is for; empty").exactOptional(),
  prefix: z.string().describe("what stands in front of the token; Bearer").exactOptional(),
  headerName: z.string().describe("the field that carries it; Authorization").exactOptional(),
  noAuthenticationHeader: refusal.describe("the answer when there is no such field").exactOptional(),
  invalidAuthenticationHeader: refusal.describe("the answer when it holds no token").exactOptional(),
  invalidToken: refusal.describe("the answer when it is another token").exactOptional(),
  noAuthenticationHeaderMessage: words.describe("older way to say its message").exactOptional(),
  invalidAuthenticationHeaderMessage: words.describe("older way to say its message").exactOptional(),
  invalidTokenMessage: words.describe("older way to say its message").exactOptional(),
});

export default factoryFilter({
  name: "hono/bearer-auth",
  summary: "Asks for a token in the authorization field",
  options: oneArgument(options),
  factory: bearerAuth<FilterEnvironment>,
});
