/** What a caller is told of a token that does not pass, by what jose says of it (RFC 6750, section 3.1). */

import { refusalOf, unauthenticated } from "../refusal.ts";
import { KeysUnavailable } from "./issuer-keys.ts";

interface Fault {
  /** For the metric. */
  readonly why: string;
  /** For the caller. */
  readonly sentence: string;
}

function fault(why: string, sentence: string): Fault {
  return { why, sentence };
}

const MALFORMED = fault("malformed", "the token cannot be read");

const BY_CODE: Readonly<Record<string, Fault>> = {
  ERR_JWT_EXPIRED: fault("expired", "the token has expired"),
  ERR_JOSE_ALG_NOT_ALLOWED: fault("algorithm", "the token is signed in a way that is not allowed here"),
  ERR_JWKS_NO_MATCHING_KEY: fault(
    "unknown-key",
    "the token is signed with a key that the issuer does not have",
  ),
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: fault("signature", "the token's signature is wrong"),
  TOKEN_TOO_LONG: fault("too-long", "the token is longer than it may be"),
};

const BY_CLAIM: Readonly<Record<string, Fault>> = {
  iss: fault("issuer", "the token is from another issuer"),
  aud: fault("audience", "the token is for somebody else"),
  nbf: fault("not-yet-valid", "the token is not valid yet"),
  exp: fault("no-expiry", "the token does not say when it expires"),
  typ: fault("type", "the token is of another type"),
};

/** Whatever was thrown, the request goes no further: nobody was proved. */
export function faultOf(thrown: unknown): Fault | "keys-unavailable" {
  if (thrown instanceof KeysUnavailable) return "keys-unavailable";
  const { code = "", claim = "" } = thrown as { readonly code?: string; readonly claim?: string };
  return (code === "ERR_JWT_CLAIM_VALIDATION_FAILED" ? BY_CLAIM[claim] : BY_CODE[code]) ?? MALFORMED;
}

export function keysUnavailable(): Response {
  const sentence = "the keys that tokens are verified with cannot be had at the moment";
  return refusalOf({ status: 503, reason: "jwks-unavailable", sentence });
}

export function noToken(realm: string): Response {
  return unauthenticated("the request has no token", `Bearer realm="${realm}"`);
}

export function invalidToken(realm: string, { sentence }: Fault): Response {
  const challenge = `Bearer realm="${realm}", error="invalid_token", error_description="${sentence}"`;
  return unauthenticated(sentence, challenge);
}

export function insufficientToken(realm: string): Response {
  const sentence = "the token does not give this right";
  const challenge = `Bearer realm="${realm}", error="insufficient_scope", error_description="${sentence}"`;
  return refusalOf({
    status: 403,
    reason: "forbidden",
    sentence,
    headers: { "www-authenticate": challenge },
  });
}
