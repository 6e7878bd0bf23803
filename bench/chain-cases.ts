/** Lists of filters whose cost is measured, and the requests that they want. */
import { createHash } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** One more than the filter `jwt` knows of at a time would do: taken in turn, none is known when it comes again. */
const tokensInTurn = 12_000;
const issuer = "https://id.example";
const audience = "shop";
const apiKey = "0123456789abcdef0123456789abcdef";

export interface ChainCase {
  readonly name: string;
  readonly quick: boolean;
  /** YAML of a list under `filters:`, in flow style. `@folder@` is the config's folder. */
  readonly filters: string;
  /** A header of the requests, and its values, of which each request has the next one. */
  readonly header?: { readonly name: string; readonly values: readonly string[] };
  /** The file of a user's own filter, beside this one. */
  readonly file?: string;
  /** The one that it stands against, where that is not the same requests without filters. */
  readonly against?: string;
}

const requestId = "request-id";
const accessLog = '{ access-log: { to: "@folder@/access.log" } }';
const headers =
  "{ headers: { request: { set: { x-bench: clearway } }, response: { set: { x-bench: clearway } } } }";
// The most that a limit can be: no request of the load exceeds it.
const rateLimit = "{ rate-limit: { requests: 1000000, per: 1s, burst: 1000000, key: ip } }";
const retry = "{ retry: { attempts: 3 } }";

/** The keys and tokens are new each time. */
export async function chainCases(): Promise<readonly ChainCase[]> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const key = { ...(await exportJWK(publicKey)), alg: "ES256", use: "sig", kid: "bench" };
  const jwt = `{ jwt: { issuer: "${issuer}", audience: ${audience}, jwks: { keys: [${JSON.stringify(key)}] } } }`;
  const bearer = async (user: number) =>
    `Bearer ${await new SignJWT({ sub: `user-${user}`, scope: "orders:read orders:write" })
      .setProtectedHeader({ alg: "ES256", kid: "bench" })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime("12h")
      .sign(privateKey)}`;
  const values: string[] = [];
  for (let user = 0; user < tokensInTurn; user++) values.push(await bearer(user));
  const one = { name: "Authorization", values: values.slice(0, 1) };
  const all = { name: "Authorization", values };
  const six = `[${[requestId, accessLog, jwt, rateLimit, headers, retry].join(", ")}]`;
  return [
    { name: "no filter", quick: true, filters: "[]" },
    { name: "no filter, a token", quick: false, filters: "[]", header: one },
    { name: "request-id", quick: false, filters: `[${requestId}]` },
    { name: "access-log", quick: false, filters: `[${accessLog}]` },
    { name: "headers", quick: false, filters: `[${headers}]` },
    { name: "jwt, one token", quick: false, filters: `[${jwt}]`, header: one, against: "no filter, a token" },
    ...whoCases,
    { name: "rate-limit", quick: false, filters: `[${rateLimit}]` },
    { name: "concurrency", quick: false, filters: "[{ concurrency: { limit: 10000 } }]" },
    { name: "retry", quick: false, filters: `[${retry}]` },
    ...furtherCases,
    { name: "a user's filter, one header", quick: true, filters: "[./stamp.ts]", file: "filters/stamp.ts" },
    { name: sixFilters, quick: true, filters: six, header: one },
    { name: `${sixFilters}, every token new`, quick: false, filters: six, header: all },
  ];
}

export const sixFilters = "the six filters";

const whoCases: readonly ChainCase[] = [
  {
    ...{ name: "api-key", quick: false, filters: `[{ api-key: { keys: { bench: "${apiKey}" } } }]` },
    header: { name: "X-Api-Key", values: [apiKey] },
  },
  {
    ...{ name: "basic-auth", quick: false },
    filters: `[{ basic-auth: { users: { bench: "sha256:of-bench:${sha256(`of-bench${apiKey}`)}" }, realm: bench } }]`,
    header: { name: "Authorization", values: [`Basic ${btoa(`bench:${apiKey}`)}`] },
  },
  { name: "ip-allow", quick: false, filters: "[{ ip-allow: { allow: [127.0.0.0/8] } }]" },
  { name: "body-limit", quick: false, filters: "[{ body-limit: { max: 1MiB } }]" },
  { name: "ext-authz", quick: false, filters: "[{ ext-authz: { service: backend, path: /small } }]" },
];

const furtherCases: readonly ChainCase[] = [
  { name: "hedge", quick: false, filters: "[{ hedge: { after: 1s } }]" },
  { name: "mirror, 1 %", quick: false, filters: "[{ mirror: { to: backend, percent: 1 } }]" },
  {
    ...{ name: "fault, for others", quick: false },
    filters: "[{ fault: { header: x-fault, abort: { status: 503, percent: 100 } } }]",
  },
  { name: "hono/cors", quick: false, filters: "[{ hono/cors: null }]" },
  { name: "hono/secure-headers", quick: false, filters: "[{ hono/secure-headers: null }]" },
];

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
