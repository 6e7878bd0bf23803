/** What is said about a request, an answer or a site. */
import { setMetric } from "hono/timing";
import { cookies, json, text } from "../../runtime/fetch/case.ts";
import { type HonoCases, tell } from "./case.ts";

const from = (origin: string) => ({ headers: { origin } });
const preflight = (more: Record<string, string> = {}) => ({
  method: "OPTIONS",
  headers: { origin: "https://a.example", "access-control-request-method": "PUT", ...more },
});
const missing = { status: 404, headers: { "content-type": "text/plain" }, body: ["not here"] };
const never = () => new Promise<never>(() => {});

export const casesOfFields: HonoCases = {
  "hono/context-storage": [
    { name: "a request", answer: json },
    { name: "a body", request: { method: "POST", body: "x" }, answer: text },
    { name: "an answer further inside", inside: (c) => c.text("inside", 201) },
  ],
  "hono/cors": [
    { name: "everybody", request: from("https://a.example"), answer: json },
    { name: "no origin", answer: json },
    {
      name: "one site",
      value: { origin: "https://a.example" },
      request: from("https://a.example"),
      answer: json,
    },
    {
      name: "another site",
      value: { origin: "https://a.example" },
      request: from("https://b.example"),
      answer: json,
    },
    {
      name: "several, with cookies",
      value: {
        origin: ["https://a.example", "https://b.example"],
        credentials: true,
        exposeHeaders: ["x-a", "x-b"],
      },
      request: from("https://b.example"),
      answer: { ...cookies, headers: { ...cookies.headers!, vary: "Cookie" } },
    },
    { name: "preflight", request: preflight() },
    {
      name: "preflight with everything",
      value: { origin: "https://a.example", allowMethods: ["PUT"], allowHeaders: ["x-b"], maxAge: 5 },
      request: preflight({ "access-control-request-headers": "x-b" }),
    },
    { name: "preflight with fields", request: preflight({ "access-control-request-headers": "x-a, x-b" }) },
    { name: "another argument list", value: [{ origin: "https://a.example" }], request: preflight() },
  ],
  "hono/language": [
    { name: "the default", value: {}, inside: tell("language"), answer: text },
    {
      name: "of the header",
      value: { supportedLanguages: ["en", "de"], fallbackLanguage: "en" },
      request: { headers: { "accept-language": "fr;q=0.9, de-CH;q=0.8" } },
      inside: tell("language"),
      answer: cookies,
    },
    {
      name: "of the query",
      value: { supportedLanguages: ["en", "de"], fallbackLanguage: "de", lookupQueryString: "l" },
      request: { path: "/?l=EN" },
      inside: tell("language"),
    },
    {
      name: "of the path, not remembered",
      value: { supportedLanguages: ["en", "ja"], fallbackLanguage: "en", order: ["path"], caches: false },
      request: { path: "/ja/x" },
      inside: tell("language"),
    },
    {
      name: "of a cookie",
      value: {
        supportedLanguages: ["en", "ja"],
        fallbackLanguage: "en",
        cookieOptions: { secure: false, path: "/", sameSite: "Lax" },
      },
      request: { headers: { cookie: "language=ja" } },
      inside: tell("language"),
    },
  ],
  "hono/logger": [
    { name: "a request", request: { path: "/a?b=c" }, answer: text },
    { name: "what went wrong", answer: { status: 503 } },
    { name: "a body", request: { method: "POST", body: "x" }, answer: json },
  ],
  "hono/powered-by": [
    { name: "Hono", answer: text },
    { name: "another", value: { serverName: "Shop" }, answer: text },
    {
      name: "in place of another",
      answer: { ...text, headers: { ...text.headers!, "x-powered-by": "php" } },
    },
  ],
  "hono/request-id": [
    { name: "of the caller", request: { headers: { "x-request-id": "abc-1" } }, inside: tell("requestId") },
    { name: "a new one", inside: tell("requestId"), answer: text },
    { name: "too long", value: { limitLength: 3 }, request: { headers: { "x-request-id": "abcd" } } },
    { name: "with odd characters", request: { headers: { "x-request-id": "a b" } } },
    {
      name: "in another field",
      value: { headerName: "x-trace" },
      request: { headers: { "x-trace": "abc" } },
      answer: cookies,
    },
    { name: "in none", value: { headerName: "" }, inside: tell("requestId") },
  ],
  "hono/secure-headers": [
    { name: "by default", answer: { ...json, headers: { ...json.headers!, "x-powered-by": "php" } } },
    { name: "over those of the service", answer: { headers: { "x-frame-options": "DENY" } } },
    {
      name: "under those of the service",
      value: { overwrite: false },
      answer: { headers: { "x-frame-options": "DENY" } },
    },
    {
      name: "some",
      value: {
        xFrameOptions: false,
        xXssProtection: "1",
        crossOriginEmbedderPolicy: true,
        removePoweredBy: false,
        strictTransportSecurity: "max-age=5",
      },
      answer: { headers: { "x-powered-by": "php" } },
    },
    {
      name: "a content security policy",
      value: {
        contentSecurityPolicy: {
          defaultSrc: ["'self'"],
          styleSrcElem: ["'self'", "https://a.example"],
          upgradeInsecureRequests: [],
          reportTo: "main",
        },
        contentSecurityPolicyReportOnly: { imgSrc: ["*"], reportUri: ["/a", "/b"] },
        reportingEndpoints: [{ name: "main", url: "https://r.example" }],
        reportTo: [{ group: "main", max_age: 5, endpoints: [{ url: "https://r.example" }] }],
      },
      answer: text,
    },
    {
      name: "a permissions policy",
      value: {
        permissionsPolicy: {
          camera: false,
          fullscreen: ["self", "https://a.example"],
          usb: true,
          midi: ["none"],
        },
      },
      answer: text,
    },
  ],
  "hono/timeout": [
    { name: "in time", value: 60_000, answer: json },
    { name: "out of time", value: 1, inside: never },
    { name: "an answer further inside", value: 60_000, inside: (c) => c.json({ a: 1 }, 202) },
  ],
  "hono/timing": [
    { name: "the whole", answer: text },
    { name: "nothing", value: { enabled: false }, answer: text },
    {
      name: "what was measured further inside",
      value: { total: false, crossOrigin: "https://a.example" },
      inside: async (c, next) => {
        setMetric(c, "db", 5, 'a "database"');
        await next();
      },
      answer: json,
    },
    { name: "for everybody", value: { crossOrigin: true, totalDescription: "All of it" }, answer: text },
  ],
  "hono/trailing-slash#trimTrailingSlash": [
    { name: "what is not there", request: { path: "/a/?b=c" }, answer: missing },
    { name: "what is there", request: { path: "/a/" }, answer: text },
    { name: "always", value: { alwaysRedirect: true }, request: { path: "/a/b/?c=d" }, answer: text },
    { name: "POST", value: { alwaysRedirect: true }, request: { method: "POST", path: "/a/", body: "x" } },
    { name: "the root", value: { alwaysRedirect: true }, answer: missing },
  ],
  "hono/trailing-slash#appendTrailingSlash": [
    { name: "what is not there", request: { path: "/a?b=c" }, answer: missing },
    { name: "what is there", request: { path: "/a" }, answer: text },
    { name: "always", value: { alwaysRedirect: true }, request: { path: "/a/b?c=d" }, answer: text },
    { name: "HEAD", request: { method: "HEAD", path: "/a" }, answer: { status: 404 } },
  ],
};
