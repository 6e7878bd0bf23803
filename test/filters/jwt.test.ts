import { describe, expect, test } from "bun:test";
import jwt from "../../src/filters/jwt.ts";
import { bearer, goodClaims, issuer, part, signed, signingKey } from "./jwt/issuer.ts";
import { headerOf, realChain } from "./real-chain.ts";

const key = await signingKey("ES256", "one");
const rsa = await signingKey("RS256", "two");
const stranger = await signingKey("ES256", "one");
const jwks = { keys: [key.jwk, rsa.jwk] };
const options = { issuer, audience: "shop", jwks };
const nowSeconds = Number(goodClaims.exp) - 3600;

const reasonOf = (answer: { readonly headers: readonly string[] }) => headerOf(answer, "x-clearway-reason");

async function answerTo(token: string, more: object = {}) {
  const chain = realChain(jwt, { ...options, ...more });
  const answer = await chain.send(bearer(token));
  const why = chain.parts.counted.map(({ labels }) => labels.why).find((one) => one !== undefined);
  return { status: answer.status, reason: reasonOf(answer), why, forwarded: answer.forwarded };
}

describe("jwt lets pass", () => {
  test("a token of the issuer, for this audience", async () => {
    for (const one of [key, rsa]) {
      const { status, reason, forwarded } = await answerTo(await signed(one));
      expect([status, reason]).toEqual([200, null]);
      expect(headerOf(forwarded!, "authorization")).toStartWith("Bearer ey");
    }
  });

  test("one audience of several, on both sides", async () => {
    const token = await signed(key, { aud: ["desk", "shop"] });
    expect((await answerTo(token, { audience: ["cellar", "shop"] })).status).toBe(200);
  });

  test("what is within the leeway", async () => {
    for (const claims of [{ exp: nowSeconds - 9 }, { nbf: nowSeconds + 10 }]) {
      expect((await answerTo(await signed(key, claims), { leeway: "10s" })).status).toBe(200);
    }
  });

  test("a token that does not say its key, whichever of the issuer's it is", async () => {
    const [first, second] = [await signingKey("ES256"), await signingKey("ES256")];
    const set = { keys: [first.jwk, second.jwk] };
    for (const one of [first, second])
      expect((await answerTo(await signed(one), { jwks: set })).status).toBe(200);
    const other = await answerTo(await signed(await signingKey("ES256")), { jwks: set });
    expect([other.status, other.why]).toEqual([401, "signature"]);
  });

  test("tokens of every algorithm that is named", async () => {
    for (const alg of ["RS384", "PS256", "ES384", "ES512", "EdDSA", "Ed25519"]) {
      const one = await signingKey(alg, alg);
      const named = { algorithms: [alg], jwks: { keys: [one.jwk] } };
      expect([alg, (await answerTo(await signed(one), named)).status]).toEqual([alg, 200]);
    }
  });

  test("who has none, where that is allowed, without the headers that it sent", async () => {
    const chain = realChain(jwt, { ...options, missing: "allow", headers: { "x-user": "sub" } });
    const { status, forwarded } = await chain.send({ headers: { "X-User": "forged" } });
    expect([status, headerOf(forwarded!, "x-user")]).toEqual([200, null]);
    expect(chain.vars.claims).toBeUndefined();
    expect((await chain.send(bearer("x.y.z"))).status).toBe(401);
  });
});

describe("jwt refuses", () => {
  test("a request without a token, and says what it wants", async () => {
    const chain = realChain(jwt, { ...options, realm: "the shop" });
    for (const headers of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer" }]) {
      const answer = await chain.send({ headers });
      expect([answer.status, reasonOf(answer), answer.forwarded]).toEqual([401, "unauthenticated", null]);
      expect(headerOf(answer, "www-authenticate")).toBe('Bearer realm="the shop"');
    }
    expect(chain.counted("jwt_refused missing")).toBe(3);
  });

  const cases: Record<string, () => Promise<readonly [string, string, object?]>> = {
    "a forged token": async () => [await signed(stranger), "signature"],
    "one whose claims were changed": async () => {
      const [head, , signature] = (await signed(key)).split(".");
      return [`${head}.${part({ ...goodClaims, sub: "root" })}.${signature}`, "signature"];
    },
    "one without its signature": async () => [(await signed(key)).replace(/[^.]*$/, ""), "signature"],
    "an expired one": async () => [await signed(key, { exp: nowSeconds - 30 }), "expired"],
    "one that is not valid yet": async () => [await signed(key, { nbf: nowSeconds + 31 }), "not-yet-valid"],
    "one that never expires": async () => [await signed(key, { exp: undefined }), "no-expiry"],
    "one whose expiry is text": async () => [await signed(key, { exp: "9999999999" }), "no-expiry"],
    "another issuer's": async () => [await signed(key, { iss: "https://id.example/" }), "issuer"],
    "one without an issuer": async () => [await signed(key, { iss: undefined }), "issuer"],
    "one for another audience": async () => [await signed(key, { aud: "shop.example" }), "audience"],
    "one for no audience": async () => [await signed(key, { aud: undefined }), "audience"],
    "one of another type": async () => [await signed(key), "type", { type: "at+jwt" }],
    "alg none": async () => [`${part({ alg: "none" })}.${part(goodClaims)}.`, "algorithm"],
    "alg none in other letters": async () => [
      `${part({ alg: "nOnE", kid: "one" })}.${part(goodClaims)}.`,
      "algorithm",
    ],
    "an algorithm that is not named": async () => [await signed(rsa), "algorithm", { algorithms: ["ES256"] }],
    "an unknown key": async () => [await signed(await signingKey("ES256", "three")), "unknown-key"],
    "a key of another kind under a known name": async () => [
      await signed(await signingKey("EdDSA", "one")),
      "unknown-key",
    ],
    "a header that must be understood and is not": async () => [
      `${part({ alg: "ES256", kid: "one", crit: ["x"], x: 1 })}.${part(goodClaims)}.AAAA`,
      "malformed",
    ],
    "two tokens in one field": async () => [`${await signed(key)}, Bearer ${await signed(key)}`, "malformed"],
    "a token of one part": async () => ["AAAA", "malformed"],
    "a token of five parts": async () => ["a.b.c.d.e", "malformed"],
    "a token whose parts are no JSON": async () => [`${part("{")}.${part("{")}.AAAA`, "malformed"],
    "an oversized token": async () => [`${"A".repeat(8190)}.B.C`, "too-long"],
  };
  for (const [what, make] of Object.entries(cases)) {
    test(what, async () => {
      const [token, wanted, more] = await make();
      const { status, reason, why, forwarded } = await answerTo(token, more);
      expect([status, reason, why, forwarded]).toEqual([401, "unauthenticated", wanted, null]);
    });
  }

  test("a token that the issuer's public key was taken to make, as if it were a secret", async () => {
    const secrets = [JSON.stringify(rsa.jwk), Buffer.from(String((rsa.jwk as { n: string }).n), "base64url")];
    for (const secret of secrets) {
      const head = part({ alg: "HS256", kid: "two", typ: "JWT" });
      const signature = new Bun.CryptoHasher("sha256", secret as string)
        .update(`${head}.${part(goodClaims)}`)
        .digest("base64url");
      const { status, why } = await answerTo(`${head}.${part(goodClaims)}.${signature}`);
      expect([status, why]).toEqual([401, "algorithm"]);
    }
  });

  test("a key that the token itself brings or points to", async () => {
    for (const header of [{ jwk: stranger.jwk }, { jku: "https://evil.example/keys" }, { x5c: ["AAAA"] }]) {
      const chain = realChain(jwt, options);
      expect((await chain.send(bearer(await signed(stranger, {}, header)))).status).toBe(401);
      expect(chain.parts.fetched).toEqual([]);
    }
  });

  test("whoever cannot be proved, also with onError: open", async () => {
    const chain = realChain(jwt, options, { onError: "open" });
    for (const headers of [{}, { authorization: "Bearer x.y.z" }])
      expect((await chain.send({ headers })).status).toBe(401);
  });

  test("with a sentence that quotes nothing of the token", async () => {
    const answer = await realChain(jwt, options).send(bearer(await signed(key, { exp: nowSeconds - 60 })));
    expect(answer.body).toBe("unauthenticated: the token has expired\n");
    expect(headerOf(answer, "www-authenticate")).toBe(
      'Bearer realm="restricted", error="invalid_token", error_description="the token has expired"',
    );
  });

  test("with 403 a right that the token does not give", async () => {
    const require = { scope: "orders", role: ["admin", "ops"], email: { present: true } };
    const chain = realChain(jwt, { ...options, require });
    const send = async (claims: object) => (await chain.send(bearer(await signed(key, claims)))).status;
    const good = { scope: "read orders", role: ["staff", "ops"], email: "a@shop.example" };
    expect(await send(good)).toBe(200);
    expect(await send({ ...good, role: "admin" })).toBe(200);
    for (const wrong of [{ scope: "orders:read" }, { role: ["staff"] }, { role: null }, { email: undefined }])
      expect(await send({ ...good, ...wrong })).toBe(403);
    const answer = await chain.send(bearer(await signed(key, {})));
    expect([answer.status, reasonOf(answer)]).toEqual([403, "forbidden"]);
    expect(headerOf(answer, "www-authenticate")).toContain('error="insufficient_scope"');
  });
});

describe("jwt passes on", () => {
  test("claims as headers, instead of what callers send there", async () => {
    const headers = {
      "x-user": "sub",
      "X-Roles": "roles",
      "x-level": "level",
      "x-gone": "gone",
      "x-map": "map",
    };
    const chain = realChain(jwt, { ...options, headers });
    const claims = { sub: "zoë\r\n 100%", roles: ["a,b", "c"], level: 3, gone: "", map: { a: 1 } };
    const { forwarded } = await chain.send({
      headers: { ...bearer(await signed(key, claims)).headers, "x-user": "root", "x-gone": "forged" },
    });
    const sent = ["x-user", "x-roles", "x-level", "x-gone", "x-map"].map((name) =>
      headerOf(forwarded!, name),
    );
    expect(sent).toEqual(["zo%C3%AB%0D%0A 100%25", "a%2Cb,c", "3", null, '{"a":1}']);
    expect(chain.vars.claims).toMatchObject({ sub: claims.sub, roles: ["a,b", "c"] });
  });

  test("nothing that belongs to every object", async () => {
    const chain = realChain(jwt, { ...options, headers: { "x-a": "constructor", "x-b": "__proto__" } });
    const { forwarded } = await chain.send(bearer(await signed(key)));
    expect([headerOf(forwarded!, "x-a"), headerOf(forwarded!, "x-b")]).toEqual([null, null]);
  });

  test("claims that no filter can change for the next request", async () => {
    const chain = realChain(jwt, options);
    await chain.send(bearer(await signed(key, { roles: ["a"] })));
    const { roles } = chain.vars.claims as { roles: string[] };
    expect(() => roles.push("b")).toThrow();
  });

  test("the token, or not", async () => {
    const token = await signed(key);
    const from = ["header:x-token", "cookie:session", "query:access_token"];
    const chain = realChain(jwt, { ...options, from, forward: false });
    const byHeader = await chain.send({ headers: { "X-Token": token } });
    expect(headerOf(byHeader.forwarded!, "x-token")).toBeNull();
    const cookie = `theme=dark; session=${token}; lang=de`;
    const byCookie = await chain.send({ headers: { cookie } });
    expect(headerOf(byCookie.forwarded!, "cookie")).toBe("theme=dark; lang=de");
    const byQuery = await chain.send({ path: `/a%2Fb?x=%41&access_token=${token}&y=+` });
    expect(byQuery.status).toBe(200);
    const kept = realChain(jwt, { ...options, from: "cookie:session" });
    expect(headerOf((await kept.send({ headers: { cookie } })).forwarded!, "cookie")).toBe(cookie);
    expect((await kept.send(bearer(token))).status).toBe(401);
  });
});
