/** The grammar of a mesh document: that of a node's config, and what a service's whole story has beside it. */
import { z } from "zod";
import { isTrustDomain } from "../../identity.ts";
import { serviceGrammar } from "../grammar/service.ts";
import { deadline, meshServiceName, messageLimits, partName, weight } from "../grammar/values.ts";
import { filtersMax, limitsGrammar, rootGrammar, routeFilter, routeGrammar } from "../grammar.ts";
import { methodName, pathPattern } from "../pattern.ts";

export const rulesMax = 1000;
const callersMax = 256;
export const meshRoutesMax = 1000;

/** What stand in for the options of the filters of these names, which are read by their own schemas. */
export const filterKeys = { fault: z.unknown(), mirror: z.unknown(), retry: z.unknown() } as const;
export type FilterKey = keyof typeof filterKeys;

const caller = z.string().regex(/^(\*|anonymous|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$/, {
  error: 'wanted the name of a service, "*" for every service, or anonymous',
});

export const ruleGrammar = z.strictObject({
  from: z
    .union([caller, z.array(caller).min(1).max(callersMax)])
    .describe("A service or a list; `*` is every caller with an identity, `anonymous` one that proved none"),
  method: z
    .union([methodName(), z.array(methodName()).min(1).max(32)])
    .describe("One method or a list; any without it")
    .optional(),
  path: pathPattern().describe("The path, as in a route's match; any without it").optional(),
});

const versionWeights = z.record(partName, weight);

const callerFields = {
  split: versionWeights
    .describe("Versions with their weights: those that instances registered with; without it all alike")
    .optional(),
  fault: filterKeys.fault
    .optional()
    .describe("The options of the filter of that name: holds requests back or refuses them"),
  mirror: filterKeys.mirror.optional().describe("The options of the filter of that name: copies of requests"),
  retry: filterKeys.retry.optional().describe("The options of the filter of that name: further tries"),
};

export const meshRouteGrammar = routeGrammar.extend({
  ...callerFields,
  to: routeGrammar.shape.to.describe("Another service, or several with their weights; this one without it"),
  rewrite: routeGrammar.shape.rewrite.describe("What the service sees instead"),
  filters: z
    .array(routeFilter)
    .max(filtersMax)
    .default([])
    .describe("What its requests run through beside the service's `outbound`, in this order"),
});

export const defaultsGrammar = z.strictObject({
  mtls: z
    .enum(["strict", "permissive"])
    .default("strict")
    .describe("Whether sidecars take callers with an identity only, or those with plain HTTP too"),
  policy: z
    .enum(["deny", "allow"])
    .default("deny")
    .describe("What happens to callers of a service that has no `allow`"),
  egress: z
    .enum(["allow", "deny"])
    .default("allow")
    .describe("Whether callers may reach hosts that are not in the mesh"),
});

export const meshServiceGrammar = serviceGrammar.extend({
  mtls: z
    .enum(["strict", "permissive"])
    .describe("At the callee: what `defaults` says of it, for this service")
    .optional(),
  allow: z
    .array(ruleGrammar)
    .max(rulesMax)
    .describe("At the callee: who may call, and what; nobody else. An empty list is nobody at all")
    .optional(),
  audit: z
    .array(ruleGrammar)
    .max(rulesMax)
    .describe("At the callee: what passes although it is not allowed, and is logged")
    .optional(),
  inbound: z
    .array(routeFilter)
    .max(filtersMax)
    .default([])
    .describe("At the callee: what requests run through after the policy"),
  outbound: z
    .array(routeFilter)
    .max(filtersMax)
    .default([])
    .describe("At the caller: what requests run through"),
  timeout: deadline()
    .describe("At the caller: from the request's last byte to the head of its answer, tries included")
    .optional(),
  ...callerFields,
  routes: z
    .array(meshRouteGrammar)
    .max(meshRoutesMax)
    .default([])
    .describe("At the caller: requests for which something else holds; what is not here is the service's"),
  healthCheck: serviceGrammar.shape.healthCheck.describe(
    "What the sidecar asks its app; of a service outside the mesh, what callers ask each endpoint",
  ),
  tls: serviceGrammar.shape.tls.describe("How connections to a service outside the mesh are encrypted"),
});

export const meshLimitsGrammar = z.strictObject({
  ...messageLimits,
  routeTimeout: limitsGrammar.shape.routeTimeout,
});

export const meshRootGrammar = z.strictObject({
  trustDomain: z
    .string()
    .refine(isTrustDomain, {
      error:
        "wanted a name such as store.example, of lower-case letters, digits, dots, dashes and underscores",
    })
    .describe("Whose services these are: the authority in their identities, spiffe://DOMAIN/SERVICE"),
  defaults: defaultsGrammar.prefault({}).describe("What holds where a service says nothing else"),
  limits: meshLimitsGrammar.default({}).describe("Limits for all services, where they differ from the usual"),
  services: z.record(meshServiceName, meshServiceGrammar).default({}).describe("The services, by name"),
  include: rootGrammar.shape.include,
});
