/** Downstream. Refuses with 401 whoever has no token that this secret or key signed. */
import { jwt } from "hono/jwt";
import { secret, z } from "../../plugin.ts";
import { factoryFilter, oneArgument } from "../factory.ts";
import { algorithms, tokenOptions, webKey } from "./token.ts";

const options = z.strictObject({
  ...tokenOptions,
  secret: z.union([secret(), webKey]).describe("the secret, a public key as PEM, or a key as JWK"),
  alg: z.enum(["HS256", "HS384", "HS512", ...algorithms]).describe("the only algorithm that is taken"),
});

export default factoryFilter({
  name: "hono/jwt",
  summary: "Asks for a JSON web token that one secret or key signed",
  options: oneArgument(options),
  factory: jwt,
});
