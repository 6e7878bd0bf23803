/**
 * Downstream. Lets pass who has a JSON web token (RFC 7519) of one issuer, made for this audience, and keeps to RFC
 * 8725: algorithms are those of the options, whatever a token says; `iss`, `aud` and `exp` must be there and right;
 * keys come from the issuer alone, never from where a token points. Later filters find what it says as `claims`.
 */
import { defineFilter, type Middleware, type Tools } from "../plugin.ts";
import { DownloadedIssuerKeys, type IssuerKeys } from "./jwt/issuer-keys.ts";
import { type JwtOptions, jwtOptions } from "./jwt/options.ts";
import { faultOf, insufficientToken, invalidToken, keysUnavailable, noToken } from "./jwt/refusals.ts";
import type { TokenVerifier, Verified } from "./jwt/verifier.ts";
import { type CredentialPlace, credentialPlaces } from "./who/credential.ts";

type Context = Parameters<Middleware>[0];

const TOKEN_CHARACTERS_MAX = 8 * 1024;

export default defineFilter({
  name: "jwt",
  summary: "Asks for a JSON web token of one issuer, and passes its claims on",
  options: jwtOptions,
  middleware: (options, tools) => {
    const gate = new Gate(options, tools);
    const places = credentialPlaces(options.from);
    return (c, next) => {
      for (const place of places) {
        const token = place.read(c);
        if (token !== null) return gate.pass(c, { token, place }, next);
      }
      return gate.passWithout(c, next);
    };
  },
});

type Next = Parameters<Middleware>[1];
type Passing = ReturnType<Middleware>;
interface Shown {
  readonly token: string;
  readonly place: CredentialPlace;
}

interface Attempt {
  readonly shown: Shown;
  readonly next: Next;
}

class Gate {
  readonly #options: JwtOptions;
  readonly #tools: Tools;
  readonly #loading: Promise<TokenVerifier>;
  #verifier: TokenVerifier | null = null;

  constructor(options: JwtOptions, tools: Tools) {
    this.#options = options;
    this.#tools = tools;
    const downloaded = downloadedKeys(options, tools);
    // Here and not at the top: jose is loaded where a config names this filter.
    this.#loading = import("./jwt/verifier.ts").then((module) => {
      this.#verifier = new module.TokenVerifier(options, tools, downloaded);
      return this.#verifier;
    });
    this.#loading.catch((error: unknown) => tools.log.error("cannot load jose", { error: String(error) }));
  }

  pass(c: Context, shown: Shown, next: Next): Passing {
    const { token } = shown;
    if (token.length > TOKEN_CHARACTERS_MAX) return Promise.resolve(this.#refuse({ code: "TOKEN_TOO_LONG" }));
    const checked = this.#verifier === null ? null : this.#verifier.check(token);
    if (checked === null || checked instanceof Promise) return this.#passLater(checked, c, { shown, next });
    return this.#passAs(checked, c, { shown, next });
  }

  /** Apart: a method with a function in it makes a scope whenever it is called. */
  #passLater(checking: Promise<Verified> | null, c: Context, { shown, next }: Attempt): Passing {
    const checked = checking ?? this.#loading.then((verifier) => verifier.check(shown.token));
    return checked.then(
      (verified) => this.#passAs(verified, c, { shown, next }),
      (error: unknown) => this.#refuse(error),
    );
  }

  passWithout(c: Context, next: Next): Passing {
    const { missing, realm, headers } = this.#options;
    if (missing === "refuse") {
      this.#tools.metrics.count("jwt_refused", { why: "missing" });
      return Promise.resolve(noToken(realm));
    }
    for (const name of Object.keys(headers)) c.req.raw.headers.delete(name);
    return next();
  }

  #passAs(verified: Verified, c: Context, { shown, next }: Attempt): Passing {
    if (verified.unmet !== null) {
      this.#tools.metrics.count("jwt_refused", { why: "claims" });
      return Promise.resolve(insufficientToken(this.#options.realm));
    }
    if (!this.#options.forward) shown.place.takeOut(c);
    const fields = c.req.raw.headers;
    for (const [name, value] of verified.headers) {
      if (value === null) fields.delete(name);
      else fields.set(name, value);
    }
    c.set("claims", verified.claims);
    return next();
  }

  #refuse(error: unknown): Response {
    const fault = faultOf(error);
    const why = typeof fault === "string" ? fault : fault.why;
    this.#tools.metrics.count("jwt_refused", { why });
    return typeof fault === "string" ? keysUnavailable() : invalidToken(this.#options.realm, fault);
  }
}

/** They survive a reload, so that the issuer is not asked again. Null where the options have the keys. */
function downloadedKeys({ jwks, maxAge, cooldown, timeout }: JwtOptions, tools: Tools): IssuerKeys | null {
  if (typeof jwks !== "string") return null;
  const rules = { url: jwks, maxAgeMs: maxAge, cooldownMs: cooldown, timeoutMs: timeout };
  return tools.keep(`jwks ${JSON.stringify(rules)}`, () => new DownloadedIssuerKeys(tools, rules));
}
