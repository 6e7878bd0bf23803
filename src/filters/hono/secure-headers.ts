/** Downstream. Sets the header fields by which browsers protect a site. */
import { secureHeaders } from "hono/secure-headers";
import { z } from "../../plugin.ts";
import { factoryFilter, maybeArgument } from "../factory.ts";

const sources = z.array(z.string()).exactOptional();
const directives = {
  defaultSrc: sources,
  baseUri: sources,
  childSrc: sources,
  connectSrc: sources,
  fontSrc: sources,
  formAction: sources,
  frameAncestors: sources,
  frameSrc: sources,
  imgSrc: sources,
  manifestSrc: sources,
  mediaSrc: sources,
  objectSrc: sources,
  sandbox: sources,
  scriptSrc: sources,
  scriptSrcAttr: sources,
  scriptSrcElem: sources,
  styleSrc: sources,
  styleSrcAttr: sources,
  styleSrcElem: sources,
  upgradeInsecureRequests: sources,
  workerSrc: sources,
  requireTrustedTypesFor: sources,
  trustedTypes: sources,
};
const contentSecurityPolicy = z.strictObject({
  ...directives,
  reportTo: z.string().exactOptional(),
  reportUri: z.union([z.string(), z.array(z.string())]).exactOptional(),
});

const field = (name: string) =>
  z.union([z.boolean(), z.string()]).describe(`${name}: whether it is set, or what it says`).exactOptional();

const options = z.strictObject({
  contentSecurityPolicy: contentSecurityPolicy
    .describe("Content-Security-Policy: a list for each directive; not set")
    .exactOptional(),
  contentSecurityPolicyReportOnly: contentSecurityPolicy
    .describe("Content-Security-Policy-Report-Only; not set")
    .exactOptional(),
  crossOriginEmbedderPolicy: field("Cross-Origin-Embedder-Policy"),
  crossOriginResourcePolicy: field("Cross-Origin-Resource-Policy"),
  crossOriginOpenerPolicy: field("Cross-Origin-Opener-Policy"),
  originAgentCluster: field("Origin-Agent-Cluster"),
  referrerPolicy: field("Referrer-Policy"),
  strictTransportSecurity: field("Strict-Transport-Security"),
  xContentTypeOptions: field("X-Content-Type-Options"),
  xDnsPrefetchControl: field("X-DNS-Prefetch-Control"),
  xDownloadOptions: field("X-Download-Options"),
  xFrameOptions: field("X-Frame-Options"),
  xPermittedCrossDomainPolicies: field("X-Permitted-Cross-Domain-Policies"),
  xXssProtection: field("X-XSS-Protection"),
  reportingEndpoints: z
    .array(z.strictObject({ name: z.string(), url: z.string() }))
    .describe("Reporting-Endpoints; not set")
    .exactOptional(),
  reportTo: z
    .array(
      z.strictObject({
        group: z.string(),
        max_age: z.number(),
        endpoints: z.array(z.strictObject({ url: z.string() })),
      }),
    )
    .describe("Report-To; not set")
    .exactOptional(),
  permissionsPolicy: z
    .record(z.string(), z.union([z.boolean(), z.array(z.string())]))
    .describe("Permissions-Policy: true, false or a list for each feature; not set")
    .exactOptional(),
  removePoweredBy: z.boolean().describe("whether X-Powered-By is removed; true").exactOptional(),
  overwrite: z
    .boolean()
    .describe("whether fields that the answer has already are replaced; true")
    .exactOptional(),
});

export default factoryFilter({
  name: "hono/secure-headers",
  summary: "Sets the header fields by which browsers protect a site",
  options: maybeArgument(options),
  factory: secureHeaders,
});
