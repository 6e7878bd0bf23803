/**
 * The config's grammar: what each key takes, and what it is for. Objects name their keys only; what concerns two
 * keys or two parts is checked where the parts are read, so that one mistake never hides another.
 */
import { z } from "zod";
import { duration, size } from "../units.ts";
import { bindAddress } from "./address.ts";
import type { Elsewhere } from "./check.ts";
import { resolverGrammar } from "./grammar/discovery.ts";
import { membershipGrammar } from "./grammar/membership.ts";
import { serviceGrammar } from "./grammar/service.ts";
import { certificatesMax, listenerTlsGrammar } from "./grammar/tls.ts";
import {
  count,
  deadline,
  headerName,
  headerValue,
  messageLimits,
  notYet,
  partName,
  textMax,
  weight,
} from "./grammar/values.ts";
import { hostPattern, methodName, pathPattern, rewriteHost, rewritePath } from "./pattern.ts";

const valueMatch = z.union([
  z.string().max(8192),
  z.strictObject({ present: z.literal(true).describe("It is there, whatever its value") }),
  z.strictObject({ prefix: z.string().min(1).max(8192).describe("What its value begins with") }),
]);

export const limitsGrammar = z.strictObject({
  ...messageLimits,
  handshakeTimeout: deadline()
    .describe("From a caller's connection to the end of its TLS handshake")
    .optional(),
  headerTimeout: deadline()
    .describe("From the first moment in which a head is awaited to its last byte")
    .optional(),
  idleTimeout: deadline().describe("Between two requests on one connection").optional(),
  routeTimeout: deadline()
    .describe("For routes without a timeout: from the request's last byte to the head of its answer")
    .optional(),
  connections: count(1, 1_000_000)
    .describe("Open connections of callers; a further one is refused")
    .optional(),
});

/** Of the whole node. */
export const nodeLimitsGrammar = limitsGrammar.extend({
  workerMemory: size({ minBytes: 128 * 2 ** 20, maxBytes: 2 ** 40 })
    .describe("Memory of one worker above which it is replaced")
    .optional(),
});

export const pathsGrammar = z.strictObject({
  dotSegments: z.enum(["reject", "resolve"]).default("reject").describe("What happens to . and .. in a path"),
  merge: z.boolean().default(false).describe("Whether repeated slashes become one"),
  escapedSlash: z
    .enum(["keep", "reject", "decode"])
    .default("keep")
    .describe("What happens to %2f in a path"),
});

export const logGrammar = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error"]).default("info").describe("The least that is written"),
  format: z.enum(["json", "text"]).default("json").describe("One JSON object a line, or text for people"),
});

export const matchGrammar = z.strictObject({
  host: hostPattern()
    .describe("The host that is asked for, whatever its case and port; any without it")
    .optional(),
  path: pathPattern()
    .describe("The path; a * at its end takes all that follows, also nothing; any without it")
    .optional(),
  method: z
    .union([methodName(), z.array(methodName()).min(1).max(32)])
    .describe("One method or a list; any without it")
    .optional(),
  headers: z
    .record(headerName, valueMatch)
    .describe("Header fields that must be there, with this value")
    .optional(),
  query: z
    .record(z.string().min(1).max(256), valueMatch)
    .describe("Query fields that must be there, with this value")
    .optional(),
});

const serviceName = partName.describe("The name of a service");

export const redirectGrammar = z.strictObject({
  scheme: z.enum(["http", "https"]).describe("The scheme to go to; the request's without it").optional(),
  host: rewriteHost().describe("The host to go to; the request's without it").optional(),
  path: rewritePath().describe("The path to go to; a * stands for what the match's * took").optional(),
  status: z.literal([301, 302, 303, 307, 308]).default(302).describe("The status of the redirect"),
});

export const respondGrammar = z.strictObject({
  status: count(200, 599).default(200).describe("The status of the answer"),
  headers: z
    .record(headerName, z.union([headerValue, z.array(headerValue).max(64)]))
    .default({})
    .describe("Its header fields; a list has one of that name for each entry"),
  body: z.string().max(textMax).default("").describe("Its body; file:PATH reads a file"),
});

export const rewriteGrammar = z.strictObject({
  path: rewritePath().describe("The path to send; a * stands for what the match's * took").optional(),
  host: rewriteHost().describe("The Host to send").optional(),
});

/** What stands in for an entry: filters are read by their own schemas, which arrive later. */
export const listenerFilter = z.unknown();
export const routeFilter = z.unknown();
export const filtersMax = 64;
export const routesMax = 100_000;

export const routeGrammar = z.strictObject({
  name: z
    .string()
    .regex(/^[^\x00-\x1f\x7f-\x9f]{1,200}$/, { error: "wanted a name of at most 200 characters" })
    .describe("Unique in its listener; without it, host and path as they are written")
    .optional(),
  match: matchGrammar.default({}).describe("Which requests it takes; any without it"),
  filters: z
    .array(routeFilter)
    .max(filtersMax)
    .default([])
    .describe("What its requests run through, in this order"),
  timeout: deadline()
    .describe(
      "From the request's last byte to the head of its answer, filters and tries included; without it the limits' routeTimeout",
    )
    .optional(),
  to: z
    .union([serviceName, z.record(serviceName, weight)])
    .describe("The service that answers, or several with their weights")
    .optional(),
  rewrite: rewriteGrammar.describe("What the service sees instead; beside `to` only").optional(),
  redirect: redirectGrammar.describe("Sends the caller elsewhere").optional(),
  respond: respondGrammar.describe("Answers here").optional(),
});

/** Values of the whole design that this version does not have yet. */
const laterProtocols = ["tcp", "tls"];

export const listenerGrammar = z.strictObject({
  bind: bindAddress().describe("Where it listens"),
  protocol: z
    .enum(["http", "https"], { error: notYet(laterProtocols, "http or https") })
    .default("http")
    .describe("http, or https: HTTP/1.1 over TLS, with the certificates of `tls`"),
  tls: z
    .array(listenerTlsGrammar)
    .max(certificatesMax)
    .default([])
    .describe(
      "Certificates, chosen by the host that a caller names; the first is for callers that name none",
    ),
  trustedHops: count(0, 16)
    .default(0)
    .describe("How many proxies in front of this one are believed when they name the caller"),
  limits: limitsGrammar
    .default({})
    .describe("Limits of this listener, where they differ from the general ones"),
  filters: z
    .array(listenerFilter)
    .max(filtersMax)
    .default([])
    .describe("What every request runs through, also when no route takes it"),
  routes: z
    .array(routeGrammar)
    .max(routesMax)
    .default([])
    .describe("Where requests go; the most specific wins"),
});

export const rootGrammar = z.strictObject({
  admin: bindAddress()
    .prefault("127.0.0.1:9900")
    .describe("Where health, metrics and the config in use are served"),
  drain: duration({ minMs: 0, maxMs: 3_600_000 })
    .prefault("30s")
    .describe("How long requests may take to end when the node stops"),
  zone: partName
    .describe("Where this node stands: endpoints of this zone are used first, the others as these fail")
    .optional(),
  limits: nodeLimitsGrammar.default({}).describe("Limits for all listeners and services"),
  paths: pathsGrammar.prefault({}).describe("What happens to unusual paths before they are matched"),
  resolver: resolverGrammar.prefault({}).describe("Who is asked for the names of services"),
  listeners: z.record(partName, listenerGrammar).describe("Addresses that accept connections, by name"),
  services: z.record(partName, serviceGrammar).default({}).describe("Groups of endpoints, by name"),
  mesh: membershipGrammar
    .describe("The mesh that this node joins: services without endpoints are then looked for there")
    .optional(),
  log: logGrammar.prefault({}).describe("What the node says about itself"),
  include: z
    .array(z.string().min(1).max(4096))
    .max(64)
    .default([])
    .describe("Further files, relative to this one; a * in the last part takes many"),
});

/** Keys of the whole design that this version does not have yet: no typing mistakes. */
export const laterKeys = { root: ["traces"] } as const;

/**
 * What a mesh document knows beside a node's own config; mesh/grammar.ts has what these keys take. Here they are names
 * only, so that a node need not load the rest.
 */
export const meshKeys = {
  root: ["trustDomain", "defaults"],
  service: [
    ...["mtls", "allow", "audit", "inbound", "outbound", "split", "timeout"],
    ...["retry", "mirror", "fault", "routes"],
  ],
} as const;

/** What is said of them in the config of a node. */
export const inMeshDocument = {
  root: belongingThere(meshKeys.root),
  service: belongingThere(meshKeys.service),
};

function belongingThere(names: readonly string[]): Elsewhere {
  const hints = ["that is a file with `trustDomain`, which `clearway apply -f FILE` applies"];
  const said = (name: string) => ({
    message: `cannot use \`${name}\` here: it belongs in a mesh document`,
    hints,
  });
  return Object.fromEntries(names.map((name) => [name, said(name)]));
}
