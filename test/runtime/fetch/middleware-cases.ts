/** Hono's own middlewares that read, rebuild, clone, stream and refuse. */
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { some } from "hono/combine";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { logger } from "hono/logger";
import { poweredBy } from "hono/powered-by";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { setMetric, timing } from "hono/timing";
import { appendTrailingSlash, trimTrailingSlash } from "hono/trailing-slash";
import { after, type Case, cookies, form, formHeaders, json, longText, text } from "./case.ts";

export const middlewareCases: readonly Case[] = [
  { name: "nothing at all", uses: [after(() => {})] },
  {
    name: "body-limit lets a small body pass",
    uses: [bodyLimit({ maxSize: 100 })],
    request: { method: "POST", body: "small", headers: { "content-length": "5" } },
  },
  {
    name: "body-limit reads a body of unknown length",
    uses: [bodyLimit({ maxSize: 100 })],
    request: { method: "POST", body: "small", headers: { "transfer-encoding": "chunked" } },
  },
  {
    name: "body-limit refuses a large body of unknown length",
    uses: [bodyLimit({ maxSize: 5 })],
    request: { method: "POST", body: "much too large", headers: { "transfer-encoding": "chunked" } },
  },
  {
    name: "body-limit refuses by content-length",
    uses: [bodyLimit({ maxSize: 5 })],
    request: { method: "POST", body: "much too large", headers: { "content-length": "14" } },
  },
  { name: "etag hashes and passes", uses: [etag()], answer: json },
  {
    name: "etag answers 304",
    uses: [etag()],
    answer: text,
    request: { headers: { "if-none-match": '"x"' } },
  },
  { name: "etag of two etags", uses: [etag(), etag({ weak: true })], answer: json },
  {
    name: "compress",
    uses: [compress({ threshold: 10 })],
    answer: longText,
    request: { headers: { "accept-encoding": "gzip" } },
  },
  {
    name: "compress deflate",
    uses: [compress({ threshold: 10, encoding: "deflate" })],
    answer: longText,
    request: { headers: { "accept-encoding": "deflate" } },
  },
  { name: "compress leaves what nobody wants compressed", uses: [compress()], answer: longText },
  {
    name: "compress around etag",
    uses: [compress({ threshold: 10 }), etag()],
    answer: longText,
    request: { headers: { "accept-encoding": "gzip" } },
  },
  {
    name: "cors",
    uses: [cors({ origin: "https://a.example", credentials: true, exposeHeaders: ["x-a"] })],
    answer: json,
    request: { headers: { origin: "https://a.example" } },
  },
  {
    name: "cors preflight",
    uses: [cors({ origin: "https://a.example", allowMethods: ["PUT"], maxAge: 5 })],
    request: {
      method: "OPTIONS",
      headers: {
        origin: "https://a.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "x-b",
      },
    },
  },
  {
    name: "csrf refuses",
    uses: [csrf()],
    request: { method: "POST", body: form, headers: { ...formHeaders, origin: "https://evil.example" } },
  },
  {
    name: "csrf lets pass",
    uses: [csrf()],
    request: { method: "POST", body: form, headers: { ...formHeaders, origin: "http://shop.example" } },
  },
  {
    name: "secure-headers",
    uses: [secureHeaders()],
    answer: { ...json, headers: { ...json.headers, "x-powered-by": "php" } },
  },
  { name: "timeout in time", uses: [timeout(5000)], answer: json },
  { name: "timeout out of time", uses: [timeout(1), () => new Promise<never>(() => {})] },
  { name: "bearer-auth refuses", uses: [bearerAuth({ token: "secret" })] },
  {
    name: "bearer-auth lets pass",
    uses: [bearerAuth({ token: "secret" })],
    request: { headers: { authorization: "Bearer secret" } },
  },
  { name: "basic-auth refuses", uses: [basicAuth({ username: "a", password: "b" })] },
  {
    name: "basic-auth lets pass",
    uses: [basicAuth({ username: "a", password: "b" })],
    request: { headers: { authorization: `Basic ${btoa("a:b")}` } },
  },
  {
    name: "combine some",
    uses: [some(bearerAuth({ token: "no" }), basicAuth({ username: "a", password: "b" }))],
    request: { headers: { authorization: `Basic ${btoa("a:b")}` } },
  },
  { name: "request-id", uses: [requestId({ generator: () => "fixed" })], answer: cookies },
  { name: "pretty-json", uses: [prettyJSON()], answer: json, request: { path: "/?pretty" } },
  {
    name: "pretty-json of what is none",
    uses: [prettyJSON()],
    answer: { headers: { "content-type": "application/json" }, body: ["{no"] },
    request: { path: "/?pretty" },
  },
  { name: "logger", uses: [logger(() => {})], answer: text },
  {
    name: "timing",
    uses: [timing({ total: false }), after((c) => setMetric(c, "db", 5, "database"))],
    answer: text,
  },
  { name: "powered-by", uses: [poweredBy()], answer: text },
  {
    name: "trailing-slash trims",
    uses: [trimTrailingSlash()],
    request: { path: "/a/?b=c" },
    answer: { status: 404 },
  },
  {
    name: "trailing-slash appends",
    uses: [appendTrailingSlash()],
    request: { path: "/a?b=c" },
    answer: { status: 404 },
  },
  {
    name: "HEAD",
    uses: [etag(), after((c) => c.header("x-a", "1"))],
    request: { method: "HEAD" },
    answer: { headers: { etag: '"q"' } },
  },
];
