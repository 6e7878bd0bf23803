/** An issuer of tokens: its keys, what it signs, and the place where its public keys are. */
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { VirtualClock } from "../../virtual-clock.ts";

export const issuer = "https://id.example";
export const jwksUrl = "https://id.example/keys";

export interface SigningKey {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  /** As the issuer publishes it. */
  readonly jwk: object;
}

export async function signingKey(alg: string, kid?: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const named = kid === undefined ? {} : { kid };
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), ...named, use: "sig" } };
}

/** Good for an hour from the virtual clock's beginning. */
export const goodClaims: JWTPayload = {
  iss: issuer,
  aud: "shop",
  sub: "alice",
  exp: new VirtualClock().epochMs() / 1000 + 3600,
};

export function signed(key: SigningKey, claims: object = {}, header: object = {}): Promise<string> {
  const { kid, alg, privateKey } = key;
  const all = { ...goodClaims, ...claims };
  return new SignJWT(all)
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }), ...header })
    .sign(privateKey);
}

export function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}

/** Text as the parts of a token have it (RFC 7515, section 2). */
export function part(value: object | string): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** A `fetch` that gives the key set of the moment. */
export class KeyServer {
  downloads = 0;
  answer: () => Response | Promise<Response>;

  constructor(keys: readonly SigningKey[]) {
    this.answer = () => KeyServer.keys(keys);
  }

  static keys(keys: readonly SigningKey[], headers: Record<string, string> = {}): Response {
    return Response.json({ keys: keys.map(({ jwk }) => jwk) }, { headers });
  }

  readonly fetch = async (): Promise<Response> => {
    this.downloads += 1;
    return this.answer();
  };
}
