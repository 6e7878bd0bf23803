/** What is sent: limits, codings, etags, JSON. */
import { cookies, json, longText, text } from "../../runtime/fetch/case.ts";
import type { HonoCases } from "./case.ts";

const gzip = { headers: { "accept-encoding": "gzip" } };
const chunked = { "transfer-encoding": "chunked" };
const longJson = {
  headers: { "content-type": "application/json", "content-length": "2011" },
  body: ['{"a":"', "b".repeat(2000), '"}\n\n'],
};

export const casesOfBodies: HonoCases = {
  "hono/body-limit": [
    { name: "no body", value: { maxSize: 5 }, answer: text },
    {
      name: "a small body",
      value: { maxSize: 100 },
      request: { method: "POST", body: "small", headers: { "content-length": "5" } },
    },
    {
      name: "a large body",
      value: { maxSize: 5 },
      request: { method: "POST", body: "much too large", headers: { "content-length": "14" } },
    },
    {
      name: "a small body of unknown length",
      value: { maxSize: 100 },
      request: { method: "PUT", body: "small", headers: chunked },
      answer: json,
    },
    {
      name: "a large body of unknown length",
      value: { maxSize: 5 },
      request: { method: "PUT", body: "much too large", headers: chunked },
    },
    {
      name: "a body that just fits",
      value: { maxSize: 14 },
      request: { method: "POST", body: "much too large", headers: chunked },
    },
  ],
  "hono/compress": [
    { name: "gzip", request: gzip, answer: longText },
    { name: "what is known to be long", request: gzip, answer: longJson },
    {
      name: "deflate alone",
      value: { encoding: "deflate", threshold: 10 },
      request: { headers: { "accept-encoding": "gzip, deflate" } },
      answer: longText,
    },
    {
      name: "the better one",
      request: { headers: { "accept-encoding": "deflate, gzip;q=0.5" } },
      answer: longText,
    },
    { name: "nobody wants it", answer: longText },
    { name: "not this", request: { headers: { "accept-encoding": "br, gzip;q=0" } }, answer: longText },
    { name: "too short", request: gzip, answer: json },
    {
      name: "what cannot be",
      request: gzip,
      answer: { ...longText, headers: { "content-type": "image/png" } },
    },
    {
      name: "what must not be",
      request: gzip,
      answer: { ...longText, headers: { ...longText.headers!, "cache-control": "public, no-transform" } },
    },
    {
      name: "what is so already",
      request: gzip,
      answer: { headers: { ...longText.headers!, "content-encoding": "br" }, body: ["brotli"] },
    },
    {
      name: "a strong etag becomes weak",
      request: gzip,
      answer: { ...longText, headers: { ...longText.headers!, etag: '"strong"', vary: "Cookie" } },
    },
    { name: "HEAD", request: { method: "HEAD", ...gzip }, answer: { headers: longJson.headers } },
  ],
  "hono/etag": [
    { name: "hashes", answer: json },
    { name: "hashes weakly", value: { weak: true }, answer: json },
    { name: "an etag of the service", answer: text },
    { name: "304", request: { headers: { "if-none-match": '"x"' } }, answer: text },
    { name: "304 to anything", request: { headers: { "if-none-match": "*" } }, answer: cookies },
    {
      name: "304 with fields that it keeps",
      value: { retainedHeaders: ["etag", "Set-Cookie"] },
      request: { headers: { "if-none-match": '"other", W/"x"' } },
      answer: { ...cookies, headers: { ...cookies.headers!, etag: '"x"' } },
    },
    { name: "POST", request: { method: "POST", body: "x" }, answer: json },
    { name: "what went wrong", answer: { ...json, status: 500 } },
    { name: "nothing to hash", answer: { status: 204 } },
  ],
  "hono/pretty-json": [
    { name: "asked for", request: { path: "/?pretty" }, answer: json },
    { name: "not asked for", answer: json },
    { name: "with a value", request: { path: "/?pretty=1" }, answer: json },
    {
      name: "by another field",
      value: { query: "nice", space: 4 },
      request: { path: "/?nice" },
      answer: json,
    },
    {
      name: "always",
      value: { force: true },
      answer: { ...json, headers: { "content-type": "application/ld+json" } },
    },
    {
      name: "what is no JSON",
      request: { path: "/?pretty" },
      answer: { headers: { "content-type": "application/json" }, body: ["{no"] },
    },
    { name: "text", request: { path: "/?pretty" }, answer: text },
  ],
};
