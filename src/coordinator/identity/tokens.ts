/** Tokens of the mesh (JWT, RFC 7519), by jose: with one a node may join, with the other an operator may change things. */
import {
  calculateJwkThumbprint,
  decodeJwt,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import type { Clock, Random } from "../../machine.ts";
import { Refusal } from "../refusal.ts";
import type { Store } from "../store/store.ts";

export const joinAudience = "clearway-join";
export const operatorAudience = "clearway-operator";
const algorithm = "ES256";
/** Between the clocks of several coordinators. */
const leewaySeconds = 5;
const tokenCharsMax = 8192;
/**
 * How long the uses of a token are remembered after it expired: a clock that is set back makes it valid again, not
 * unused.
 */
const rememberedMs = 86_400_000;

export interface TokensParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** SHA-256 of the root certificate, base64url: whoever holds a token knows by it whom to say it to. */
  readonly rootFingerprint: string;
}

export interface JoinTokenWish {
  readonly trustDomain: string;
  readonly service: string;
  readonly ttlMs: number;
  readonly uses: number;
}

export interface CreatedToken {
  readonly token: string;
  readonly expiresEpochMs: number;
}

/** What a join token that holds allows. */
export interface JoinGrant {
  readonly tokenId: string;
  readonly service: string;
  readonly uses: number;
  readonly expiresEpochMs: number;
}

interface SigningKey {
  readonly id: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export class Tokens {
  readonly #parts: TokensParts;
  #key: SigningKey;

  private constructor(parts: TokensParts, key: SigningKey) {
    this.#parts = parts;
    this.#key = key;
  }

  /** With the key that the store has, or a new one that is put there. */
  static async open(parts: TokensParts): Promise<Tokens> {
    const { store } = parts;
    if ((await store.readSecret("tokens")) === null) await replaceKey(store, 0);
    return new Tokens(parts, await storedKey(store));
  }

  /** With another key: whatever was made until now, of either kind, holds no more when it resolves. */
  async rotate(): Promise<void> {
    const { store } = this.#parts;
    await replaceKey(store, (await store.readSecret("tokens"))?.revision ?? 0);
    this.#key = await storedKey(store);
  }

  async createJoin({ trustDomain, service, ttlMs, uses }: JoinTokenWish): Promise<CreatedToken> {
    const { clock, random, rootFingerprint: root } = this.#parts;
    const nowSeconds = Math.floor(clock.epochMs() / 1000);
    const expires = Math.ceil((clock.epochMs() + ttlMs) / 1000);
    const token = await this.#signed(
      new SignJWT({ root, uses })
        .setIssuer(trustDomain)
        .setSubject(service)
        .setAudience(joinAudience)
        .setJti(random.id())
        .setIssuedAt(nowSeconds)
        .setExpirationTime(expires),
    );
    return { token, expiresEpochMs: expires * 1000 };
  }

  /** Holds until `rotate`: it is a file that only the operator can read. */
  createOperator(who: string): Promise<string> {
    const { clock, random, rootFingerprint: root } = this.#parts;
    return this.#signed(
      new SignJWT({ root })
        .setSubject(who)
        .setAudience(operatorAudience)
        .setJti(random.id())
        .setIssuedAt(Math.floor(clock.epochMs() / 1000)),
    );
  }

  /** Uses nothing up. Throws a Refusal. */
  async checkJoin(token: string, trustDomain: string): Promise<JoinGrant> {
    const { sub, jti, exp, uses, iss } = await this.#checked(token, joinAudience);
    if (iss !== trustDomain) throw foreign(`of the trust domain ${JSON.stringify(iss)}, not ${trustDomain}`);
    const whole = typeof uses === "number" && Number.isInteger(uses) && uses > 0;
    if (sub === undefined || jti === undefined || exp === undefined || !whole) throw forged();
    return { tokenId: jti, service: sub, uses, expiresEpochMs: exp * 1000 };
  }

  /** One use of it, of those that it has; the same user may ask again. Throws a Refusal. */
  async use({ tokenId, uses, expiresEpochMs }: JoinGrant, user: string): Promise<void> {
    const { store, clock } = this.#parts;
    const use = { tokenId, user, usesMax: uses, forgetEpochMs: expiresEpochMs + rememberedMs };
    if ((await store.useToken(use, clock.epochMs())) === "used") return;
    const times = uses === 1 ? "once" : `${uses} times`;
    throw new Refusal("token-used-up", `the join token was used ${times}, as often as it may be`);
  }

  /** Whom an operator's token names. Throws a Refusal. */
  async checkOperator(token: string): Promise<string> {
    const { sub } = await this.#checked(token, operatorAudience);
    if (sub === undefined) throw forged();
    return sub;
  }

  #signed(token: SignJWT): Promise<string> {
    return token
      .setProtectedHeader({ alg: algorithm, kid: this.#key.id, typ: "JWT" })
      .sign(this.#key.privateKey);
  }

  async #checked(token: string, audience: string): Promise<JWTPayload> {
    demandOurs(token, this.#parts.rootFingerprint);
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.#key.publicKey, {
        algorithms: [algorithm],
        audience,
        clockTolerance: leewaySeconds,
        currentDate: new Date(this.#parts.clock.epochMs()),
      });
      if (protectedHeader.kid !== this.#key.id) throw forged();
      return payload;
    } catch (error) {
      throw refusalOf(error, audience);
    }
  }
}

/** Only to say better what is wrong: what stands in it is believed when its signature was verified. */
function demandOurs(token: string, rootFingerprint: string): void {
  let claims: JWTPayload;
  try {
    if (token.length > tokenCharsMax) throw new Error("too long");
    claims = decodeJwt(token);
  } catch {
    throw new Refusal(
      "token-malformed",
      "what was shown is no token; it may have been cut when it was copied",
    );
  }
  if (claims.root !== rootFingerprint)
    throw foreign("of another mesh: the root certificate in it is another one");
}

function refusalOf(error: unknown, audience: string): unknown {
  if (error instanceof errors.JWTExpired) {
    return new Refusal("token-expired", `the token expired at ${secondsText(error.payload.exp)}`);
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud") {
    const wanted = audience === joinAudience ? "a join token" : "an operator's token";
    return new Refusal("token-purpose", `the token is for something else; wanted ${wanted}`);
  }
  return error instanceof errors.JOSEError || error instanceof TypeError ? forged() : error;
}

function forged(): Refusal {
  return new Refusal(
    "token-forged",
    "the token was not made by this mesh's coordinator, or was changed since, or all tokens were taken back since",
  );
}

function foreign(why: string): Refusal {
  return new Refusal("token-foreign", `the token is ${why}`);
}

function secondsText(seconds: number | undefined): string {
  return new Date((seconds ?? 0) * 1000).toISOString();
}

/** A conflict: another coordinator made one at the same time, and that one holds. */
async function replaceKey(store: Store, revision: number): Promise<void> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  await store.swapSecret("tokens", JSON.stringify(await exportJWK(privateKey)), revision);
}

async function storedKey(store: Store): Promise<SigningKey> {
  return readKey((await store.readSecret("tokens"))!.text);
}

async function readKey(text: string): Promise<SigningKey> {
  let jwk: JWK;
  try {
    jwk = JSON.parse(text) as JWK;
    const { kty, crv, x, y } = jwk;
    const [privateKey, publicKey] = await Promise.all([
      importJWK(jwk, algorithm),
      importJWK({ kty, crv, x, y } as JWK, algorithm),
    ]);
    const id = await calculateJwkThumbprint(jwk);
    return { id, privateKey: privateKey as CryptoKey, publicKey: publicKey as CryptoKey };
  } catch {
    throw new Refusal(
      "store-damaged",
      "the tokens' key in the store is not whole; restore the store from a copy",
    );
  }
}
