/**
 * Tokens are verified once: what was found out is kept until the token expires or the issuer's keys change. They are
 * kept by their whole text and not by a hash: WebCrypto's takes twenty times as long as this lookup, and a faster
 * one could be made to collide.
 */
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import type { Tools } from "../../plugin.ts";
import { BoundedMap } from "../who/bounded-map.ts";
import { type Claims, claimText, frozen, unmetClaim } from "./claims.ts";
import type { IssuerKeys } from "./issuer-keys.ts";
import { type FindKey, type KeySet, keySetOf } from "./key-set.ts";
import type { JwtOptions } from "./options.ts";

const TOKENS_MAX = 10_000;
/** Of all kept tokens together. */
const CHARACTERS_MAX = 8 * 1024 * 1024;
/** Of a token that does not say which one it was signed with, where the issuer has several. */
const KEYS_TRIED_MAX = 8;

export interface Verified {
  readonly claims: Claims;
  /** The first claim that does not say what the options require. */
  readonly unmet: string | null;
  /** Headers for the service: name and value; null where the token says nothing of it. */
  readonly headers: readonly (readonly [string, string | null])[];
  readonly expiresEpochMs: number;
}

export class TokenVerifier {
  readonly #options: JwtOptions;
  readonly #tools: Tools;
  readonly #keys: IssuerKeys;
  readonly #known = new BoundedMap<Verified>({ entriesMax: TOKENS_MAX, charactersMax: CHARACTERS_MAX });
  /** Which keys the known tokens were verified with. */
  #set: KeySet | null = null;

  /** `downloaded`: where the options name no keys themselves. */
  constructor(options: JwtOptions, tools: Tools, downloaded: IssuerKeys | null) {
    this.#options = options;
    this.#tools = tools;
    this.#keys = downloaded ?? fixedKeys(options);
  }

  /** Rejects with an Error that has a `code`. */
  check(token: string): Verified | Promise<Verified> {
    const set = this.#keys.now();
    return set instanceof Promise ? this.#checkWith(set, token) : this.#check(token, set);
  }

  /** Apart: a method with a function in it makes a scope whenever it is called. */
  #checkWith(loading: Promise<KeySet>, token: string): Promise<Verified> {
    return loading.then((set) => this.#check(token, set));
  }

  #check(token: string, set: KeySet): Verified | Promise<Verified> {
    if (set !== this.#set) {
      this.#known.clear();
      this.#set = set;
    }
    const known = this.#known.get(token);
    if (known !== undefined && this.#tools.clock.epochMs() < known.expiresEpochMs) return known;
    return this.#verify(token, set);
  }

  async #verify(token: string, set: KeySet): Promise<Verified> {
    try {
      return await this.#verifyWith(token, set);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const newer = await this.#keys.newer();
      if (newer === set) throw error;
      return await this.#verifyWith(token, newer);
    }
  }

  async #verifyWith(token: string, set: KeySet): Promise<Verified> {
    const { issuer, audience, algorithms, leeway, type, headers, require } = this.#options;
    const { clock, metrics } = this.#tools;
    const rules: JWTVerifyOptions = {
      issuer,
      audience: [audience].flat(),
      algorithms: [...algorithms],
      clockTolerance: leeway / 1000,
      currentDate: new Date(clock.epochMs()),
      requiredClaims: ["exp"],
      ...(type === undefined ? {} : { typ: type }),
    };
    const claims = frozen(await payloadOf(token, set.find, rules)) as JWTPayload & Claims;
    metrics.count("jwt_verified");
    const verified = {
      claims,
      unmet: unmetClaim(claims, require),
      headers: Object.entries(headers).map(([name, claim]) => [name, claimText(claims, claim)] as const),
      expiresEpochMs: Number(claims.exp) * 1000 + leeway,
    };
    if (set === this.#set) this.#known.set(token, verified);
    return verified;
  }
}

async function payloadOf(token: string, find: FindKey, rules: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, find, rules)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const key of error) {
      tried += 1;
      if (tried > KEYS_TRIED_MAX) break;
      try {
        return (await jwtVerify(token, key, rules)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function fixedKeys({ jwks }: JwtOptions): IssuerKeys {
  const set = keySetOf(typeof jwks === "string" ? [] : jwks);
  return { now: () => set, newer: () => set };
}
