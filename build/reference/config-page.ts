/** docs/reference/config.md: every key of a config that is not a filter's, from the grammar that reads it. */
import type { z } from "zod";
import { outlierDetectionGrammar } from "../../src/config/grammar/balancing.ts";
import { healthCheckGrammar, resolverGrammar } from "../../src/config/grammar/discovery.ts";
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
import { defaultLimits, limitNames, workerMemoryBytes } from "../../src/config/limits.ts";
import { formatDuration, formatSize } from "../../src/units.ts";
import { type Elsewhere, rowsOf, table } from "./rows.ts";
import { values } from "./values.ts";
import { code } from "./words.ts";

interface Section {
  /** Where it stands in a config. */
  readonly title: string;
  readonly lead: string;
  readonly schema: z.ZodType;
  /** One with fewer keys, at another place, that has no section of its own. */
  readonly part?: z.ZodType;
}

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

const sections: readonly Section[] = [
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
  { title: "paths", lead: "[paths.md](../paths.md) is the guide.", schema: pathsGrammar },
  { title: "resolver", lead: "Who is asked where a service has `dns`.", schema: resolverGrammar },
  { title: "log", lead: "The node's own log, on stderr.", schema: logGrammar },
];

export function configPage(): string {
  const parts = sections.map((section) => {
    const rows = rowsOf(section.schema, elsewhereOf(section));
    return `## ${section.title}\n\n${section.lead}\n\n${table(rows, "key")}\n`;
  });
  return [head, values, ...parts].join("\n");
}

function elsewhereOf(here: Section): Elsewhere {
  const isLimits = here.schema === nodeLimitsGrammar || here.schema === serviceLimitsGrammar;
  return {
    section: (schema) => linkTo(sections.find((one) => one !== here && isOf(one, schema)) ?? null),
    type: (name) => types[name] ?? null,
    default: (name) => (isLimits ? limitDefault(name) : null),
  };
}

/** What the grammar itself has no words for: filters are read by others. */
const types: Readonly<Record<string, string>> = {
  filters: `a list of at most ${filtersMax} [filters](filters.md)`,
};

/** A description makes a new schema, of the same keys. */
function isOf({ schema, part }: Section, other: z.core.$ZodType): boolean {
  const shapeOf = (one: z.core.$ZodType) => (one._zod.def as z.core.$ZodObjectDef).shape;
  const shapes = [schema, ...(part === undefined ? [] : [part])].map(shapeOf);
  return shapes.includes(shapeOf(other));
}

function linkTo(section: Section | null): string | null {
  return section === null ? null : `[${section.title.replace("[]", "")}](#${anchorOf(section.title)})`;
}

/** As GitHub makes them. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-");
}

/** They are not the schema's, because a listener's and a service's own go over the general ones. */
function limitDefault(name: string): string | null {
  if (name === "workerMemory") return code(formatSize(workerMemoryBytes));
  const field = limitNames.find(([written]) => written === name)?.[1];
  if (field === undefined) return null;
  const value = defaultLimits[field];
  if (field.endsWith("Ms")) return code(formatDuration(value));
  return code(field.endsWith("Bytes") ? formatSize(value) : String(value));
}
