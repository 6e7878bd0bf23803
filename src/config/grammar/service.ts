/** The grammar of a service. */
import { z } from "zod";
import { endpointAddress } from "../address.ts";
import { balancingFields } from "./balancing.ts";
import { dnsGrammar, healthCheckGrammar } from "./discovery.ts";
import { serviceTlsGrammar } from "./tls.ts";
import { count, deadline, messageLimits, partName, weight } from "./values.ts";

export const endpointsMax = 10_000;

export const serviceLimitsGrammar = z.strictObject({
  connections: count(1, 1_000_000).default(1024).describe("Open connections to the service"),
  pending: count(0, 1_000_000).default(1024).describe("Requests that wait for a connection"),
  requests: count(1, 1_000_000).default(1024).describe("Requests in flight"),
  ...messageLimits,
});

export const timeoutsGrammar = z.strictObject({
  connect: deadline().prefault("1s").describe("Until a connection stands"),
  idle: deadline().prefault("55s").describe("How long an unused connection is kept"),
});

const endpointFields = z.strictObject({
  address: endpointAddress().describe("Where it is"),
  weight: weight.default(1).describe("Its share of the requests, against the other endpoints"),
  zone: partName.describe("Where it stands").optional(),
  version: partName.describe("Of what runs there, for filters that send to one version").optional(),
});
export const endpointGrammar = z.union([endpointAddress(), endpointFields]);

export const serviceGrammar = z.strictObject({
  endpoints: z.array(endpointGrammar).max(endpointsMax).describe("Its addresses").optional(),
  dns: dnsGrammar
    .describe(
      "Instead of endpoints: NAME:PORT to look up, or the name of SRV records such as _http._tcp.NAME",
    )
    .optional(),
  ...balancingFields,
  healthCheck: healthCheckGrammar
    .describe("What each endpoint is asked again and again; one that fails gets no requests")
    .optional(),
  limits: serviceLimitsGrammar.prefault({}).describe("What is sent to it at most, and what it may answer"),
  tls: serviceTlsGrammar.describe("How connections to it are encrypted; plain without it").optional(),
  timeouts: timeoutsGrammar.prefault({}).describe("Deadlines of its connections"),
});
