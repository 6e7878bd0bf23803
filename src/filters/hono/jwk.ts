/** Downstream. Refuses with 401 whoever has no token of a key set. From a URL the set is read at every request. */
import { jwk } from "hono/jwk";
import { z } from "../../plugin.ts";
import { alone, factoryFilter } from "../factory.ts";
import { algorithms, tokenOptions, webKey } from "./token.ts";

const options = z.strictObject({
  ...tokenOptions,
  keys: z.array(webKey).describe("the keys").exactOptional(),
  jwks_uri: z.string().describe("where further keys are read").exactOptional(),
  allow_anon: z.boolean().describe("whether a request without a token passes; false").exactOptional(),
  alg: z.array(z.enum(algorithms)).describe("the algorithms that are taken"),
});
const init = z
  .strictObject({
    headers: z.record(z.string(), z.string().meta({ mark: "secret" })).exactOptional(),
    method: z.string().exactOptional(),
    redirect: z.enum(["follow", "error", "manual"]).exactOptional(),
  })
  .describe("how that URL is asked");

export default factoryFilter({
  name: "hono/jwk",
  summary: "Asks for a JSON web token that a key of a set signed",
  options: z.union([alone(options), z.tuple([options, init.exactOptional()])]),
  factory: jwk,
});
