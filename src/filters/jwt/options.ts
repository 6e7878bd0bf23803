import { duration, z } from "../../plugin.ts";
import { headerNameProblem } from "../header-name.ts";
import { realmOption } from "../refusal.ts";
import { placesOption } from "../who/credential.ts";
import { requirementsOption } from "./claims.ts";
import { keysOption } from "./web-keys.ts";

/**
 * RFC 8725, sections 3.1 and 3.2: only those where making a token takes a key that is not here. A symmetric one could
 * be a public key that somebody took for a secret.
 */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

const text = z.string().min(1);

const claimHeaders = z.record(z.string(), text).superRefine((headers, context) => {
  for (const name of Object.keys(headers)) {
    const message = headerNameProblem(name);
    if (message !== null) context.addIssue({ code: "custom", message, input: name, path: [name] });
  }
});

export const jwtOptions = z.strictObject({
  issuer: text.describe("who must have made the token: its `iss`, letter by letter"),
  audience: z
    .union([text, z.array(text).min(1).max(100)])
    .describe("for whom it must be made: one of these must be in its `aud`"),
  jwks: keysOption.describe(
    "the issuer's public keys: from where they are downloaded, or they themselves; file:PATH of them as JSON",
  ),
  algorithms: z
    .array(z.enum(algorithms))
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA"])
    .describe("the only ones that are taken, whatever a token says"),
  leeway: duration({ minMs: 0, maxMs: 60_000 })
    .default(30_000)
    .describe("how far the issuer's clock may be off"),
  type: text.describe("the `typ` that its header must have, such as at+jwt; any without it").exactOptional(),
  require: requirementsOption.default({}).describe("what its claims must say, by their names; else 403"),
  from: placesOption
    .default("header:authorization")
    .describe(
      "where the token stands, in authorization behind Bearer; of a list, the first place that has one",
    ),
  missing: z
    .enum(["refuse", "allow"])
    .default("refuse")
    .describe("what happens to a request without any token"),
  forward: z.boolean().default(true).describe("whether the service gets the token too"),
  headers: claimHeaders
    .default({})
    .describe("headers for the service, and the claims that they carry; what callers send there is removed"),
  realm: realmOption,
  maxAge: duration({ minMs: 1000 })
    .default(600_000)
    .describe("how long downloaded keys are fresh; less where their Cache-Control says so, not under 1m"),
  cooldown: duration({ minMs: 1000 })
    .default(30_000)
    .describe("how long after a download an unknown key or a failure may cause the next"),
  timeout: duration({ maxMs: 60_000 }).default(5000).describe("how long a download may take"),
});

export type JwtOptions = z.output<typeof jwtOptions>;
