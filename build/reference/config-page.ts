/** docs/reference/config.md: every key of a config that is not a filter's, from the grammar that reads it. */
import { outlierDetectionGrammar } from "../../src/config/grammar/balancing.ts";
import { healthCheckGrammar, resolverGrammar } from "../../src/config/grammar/discovery.ts";
import { membershipGrammar } from "../../src/config/grammar/membership.ts";
import { serviceGrammar, serviceLimitsGrammar, timeoutsGrammar } from "../../src/config/grammar/service.ts";
import { listenerTlsGrammar, serviceTlsGrammar } from "../../src/config/grammar/tls.ts";
import {
  filtersMax,
  limitsGrammar,
  listenerGrammar,
  logGrammar,
  matchGrammar,
  nodeLimitsGrammar,
  pathsGrammar,
  redirectGrammar,
  respondGrammar,
  rewriteGrammar,
  rootGrammar,
  routeGrammar,
} from "../../src/config/grammar.ts";
import { pageOf, type Section } from "./sections.ts";

const head = `# Reference: config

Made by \`npm run docs\` from the grammar that reads a config; \`clearway schema\` gives the same to an editor, and
\`clearway check --resolved\` prints a config with every default. Filters are in [filters.md](filters.md).

\`\`\`yaml
listeners:
  web:
    bind: 0.0.0.0:8080
    routes:
      - match: { path: /api/* }
        to: orders
services:
  orders:
    endpoints: [10.0.0.1:9000]
\`\`\`
`;

export const configSections: readonly Section[] = [
  { title: "Top level", lead: "One file, and those that it includes.", schema: rootGrammar },
  {
    title: "listeners.NAME",
    lead: "An address that accepts connections. A name has at most 63 letters, digits, dashes, dots and underscores.",
    schema: listenerGrammar,
  },
  { title: "listeners.NAME.tls[]", lead: "[tls.md](../tls.md) is the guide.", schema: listenerTlsGrammar },
  {
    title: "routes[]",
    lead: "Of a listener. A route ends in exactly one of `to`, `redirect` and `respond`.",
    schema: routeGrammar,
  },
  {
    title: "match",
    lead: "Which requests a route takes: all that is here must be so.",
    schema: matchGrammar,
  },
  { title: "rewrite", lead: "Beside a route's `to`.", schema: rewriteGrammar },
  { title: "redirect", lead: "Instead of a route's `to`.", schema: redirectGrammar },
  { title: "respond", lead: "Instead of a route's `to`.", schema: respondGrammar },
  {
    title: "services.NAME",
    lead: "Who answers. Exactly one of `endpoints` and `dns` says where. [balancing.md](../balancing.md) and [discovery.md](../discovery.md) are the guides.",
    schema: serviceGrammar,
  },
  { title: "healthCheck", lead: "Of a service.", schema: healthCheckGrammar },
  { title: "outlierDetection", lead: "Of a service.", schema: outlierDetectionGrammar },
  { title: "services.NAME.tls", lead: "[tls.md](../tls.md) is the guide.", schema: serviceTlsGrammar },
  { title: "timeouts", lead: "Of a service.", schema: timeoutsGrammar },
  {
    title: "services.NAME.limits",
    lead: "What is not here is taken from the limits at the top level.",
    schema: serviceLimitsGrammar,
  },
  {
    title: "limits",
    lead: "At the top level for all listeners and services; all but `workerMemory` also of a listener, where it differs.",
    schema: nodeLimitsGrammar,
    part: limitsGrammar,
  },
  {
    title: "mesh",
    lead: "The node is a gateway of a mesh: it calls the services of its mesh document, and those without endpoints here are found there.",
    schema: membershipGrammar,
  },
  { title: "paths", lead: "[paths.md](../paths.md) is the guide.", schema: pathsGrammar },
  { title: "resolver", lead: "Who is asked where a service has `dns`.", schema: resolverGrammar },
  { title: "log", lead: "The node's own log, on stderr.", schema: logGrammar },
];

export function configPage(): string {
  return pageOf({ head, sections: configSections, types });
}

/** What the grammar itself has no words for: filters are read by others. */
const types: Readonly<Record<string, string>> = {
  filters: `a list of at most ${filtersMax} [filters](filters.md)`,
};
