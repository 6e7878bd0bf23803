/** What `jwt` and `jwk` take alike. */
import { secret, z } from "../../plugin.ts";

export const algorithms = [
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
] as const;

/** RFC 7517, section 4; a symmetric or private one is a secret, so none is shown. */
export const webKey = z.looseObject({ kty: z.string() }).meta({ mark: "secret" });

const texts = z.union([z.string(), z.array(z.string())]);

const verification = z.strictObject({
  iss: z.string().describe("who must have made the token").exactOptional(),
  aud: texts.describe("for whom it must be made").exactOptional(),
  exp: z.boolean().describe("whether exp counts; true").exactOptional(),
  nbf: z.boolean().describe("whether nbf counts; true").exactOptional(),
  iat: z.boolean().describe("whether iat counts; true").exactOptional(),
  typ: texts.describe("which typ its header must say").exactOptional(),
});

const cookie = z.strictObject({
  key: z.string().describe("its name"),
  secret: secret().describe("what signs it").exactOptional(),
  prefixOptions: z.enum(["host", "secure"]).describe("the prefix of its name").exactOptional(),
});

export const tokenOptions = {
  cookie: z
    .union([z.string(), cookie])
    .describe("the cookie that carries it when no header field does")
    .exactOptional(),
  headerName: z.string().describe("the field that carries it; Authorization").exactOptional(),
  realm: z.string().describe("what the token is for; the request's URL").exactOptional(),
  verification: verification.describe("what its claims must say").exactOptional(),
};
