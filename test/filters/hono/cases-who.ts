/** Who may: users, tokens, forms of other sites. */
import { sign } from "hono/jwt";
import { form, formHeaders, json, text } from "../../runtime/fetch/case.ts";
import { type HonoCase, type HonoCases, tell } from "./case.ts";

const basic = (pair: string) => ({ headers: { authorization: `Basic ${btoa(pair)}` } });
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const alice = { username: "alice", password: "wonder" };

const secret = "a secret of some length";
const claims = { sub: "alice", iss: "https://id.example", aud: "shop", exp: 4_000_000_000 };
const token = await sign(claims, secret, "HS256");
const expired = await sign({ ...claims, exp: 1_000_000_000 }, secret, "HS256");
const forged = await sign(claims, "another secret", "HS256");

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const pair = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
const jwkOf = async (key: CryptoKey) => ({
  ...(await crypto.subtle.exportKey("jwk", key)),
  kid: "one",
  alg: "ES256" as const,
});
const publicKey = await jwkOf(pair.publicKey);
const signed = await sign(claims, (await jwkOf(pair.privateKey)) as never, "ES256");
const withPublic = { keys: [publicKey], alg: ["ES256"] };

const withSecret = { secret, alg: "HS256" };
const ofTokens = (value: object, good: string): readonly HonoCase[] => [
  { name: "no token", value },
  { name: "a good token", value, request: bearer(good), inside: tell("jwtPayload"), answer: json },
  { name: "another scheme", value, request: basic("a:b") },
  { name: "no scheme", value, request: { headers: { authorization: good } } },
  { name: "a token that is none", value, request: bearer("x.y.z") },
  {
    name: "a cookie",
    value: { ...value, cookie: "t" },
    request: { headers: { cookie: `t=${good}` } },
    inside: tell("jwtPayload"),
  },
  { name: "a cookie that is not there", value: { ...value, cookie: { key: "t", prefixOptions: "host" } } },
  { name: "another header field", value: { ...value, headerName: "x-token", realm: 'the "shop"' } },
  {
    name: "another issuer",
    value: { ...value, verification: { iss: "https://other.example" } },
    request: bearer(good),
  },
  { name: "its audience", value: { ...value, verification: { aud: ["shop"] } }, request: bearer(good) },
];

export const casesOfWho: HonoCases = {
  "hono/basic-auth": [
    { name: "nobody", value: alice, answer: text },
    { name: "the user", value: alice, request: basic("alice:wonder"), answer: text },
    { name: "another password", value: alice, request: basic("alice:wander") },
    { name: "what is no base64", value: alice, request: { headers: { authorization: "Basic %%" } } },
    { name: "a second user", value: [alice, { username: "b", password: "c" }], request: basic("b:c") },
    { name: "a realm with quotes", value: { ...alice, realm: 'the "shop"' } },
    { name: "another message", value: { ...alice, invalidUserMessage: "no" } },
    { name: "a message as JSON", value: { ...alice, invalidUserMessage: { error: "who?" } } },
  ],
  "hono/bearer-auth": [
    { name: "nobody", value: { token: "secret" }, answer: text },
    { name: "the token", value: { token: "secret" }, request: bearer("secret"), answer: text },
    { name: "another token", value: { token: "secret" }, request: bearer("other") },
    { name: "what is no token", value: { token: "secret" }, request: bearer("no token") },
    { name: "one of several", value: { token: ["one", "two"] }, request: bearer("two") },
    {
      name: "another field, prefix and realm",
      value: { token: "t", headerName: "x-token", prefix: "", realm: "shop" },
      request: { headers: { "x-token": "t" } },
    },
    {
      name: "other messages",
      value: {
        token: "t",
        noAuthenticationHeader: { message: { error: "none" }, wwwAuthenticateHeader: { realm: "x" } },
      },
    },
    {
      name: "another message for another token",
      value: { token: "t", invalidToken: { message: "other", wwwAuthenticateHeader: "Bearer x" } },
      request: bearer("u"),
    },
  ],
  "hono/csrf": [
    { name: "a form of nobody", request: { method: "POST", body: form, headers: formHeaders } },
    {
      name: "a form of the same site",
      request: { method: "POST", body: form, headers: { ...formHeaders, origin: "http://shop.example" } },
    },
    {
      name: "a form of another site",
      request: { method: "POST", body: form, headers: { ...formHeaders, origin: "https://evil.example" } },
    },
    {
      name: "what the browser says",
      value: { secFetchSite: ["same-site", "none"] },
      request: { method: "POST", body: form, headers: { ...formHeaders, "sec-fetch-site": "same-site" } },
    },
    {
      name: "an origin that is allowed",
      value: { origin: ["https://a.example", "https://b.example"] },
      request: { method: "POST", body: form, headers: { ...formHeaders, origin: "https://b.example" } },
    },
    { name: "a GET", request: { headers: { origin: "https://evil.example" } }, answer: text },
    { name: "JSON", request: { method: "PUT", body: "{}", headers: { "content-type": "application/json" } } },
  ],
  "hono/jwt": [
    ...ofTokens(withSecret, token),
    { name: "an expired token", value: withSecret, request: bearer(expired) },
    {
      name: "an expired token that may be",
      value: { ...withSecret, verification: { exp: false } },
      request: bearer(expired),
    },
    { name: "a forged token", value: withSecret, request: bearer(forged) },
    { name: "another algorithm", value: { ...withSecret, alg: "HS512" }, request: bearer(token) },
  ],
  "hono/jwk": [
    ...ofTokens(withPublic, signed),
    { name: "anybody", value: { ...withPublic, allow_anon: true }, answer: text },
    { name: "a symmetric token", value: withPublic, request: bearer(token) },
    { name: "another algorithm", value: { ...withPublic, alg: ["RS256"] }, request: bearer(signed) },
    {
      name: "no key of this name",
      value: { ...withPublic, keys: [{ ...publicKey, kid: "two" }] },
      request: bearer(signed),
    },
    {
      name: "keys that are fetched",
      value: [
        { jwks_uri: `data:application/json,${JSON.stringify({ keys: [publicKey] })}`, alg: ["ES256"] },
        { headers: { accept: "application/json" } },
      ],
      request: bearer(signed),
      inside: tell("jwtPayload"),
    },
  ],
};
