/** docs/reference/mesh.md: every key of a mesh document, from the grammar that reads it. */
import { filtersMax } from "../../src/config/grammar.ts";
import {
  defaultsGrammar,
  meshLimitsGrammar,
  meshRootGrammar,
  meshRouteGrammar,
  meshServiceGrammar,
  ruleGrammar,
} from "../../src/config/mesh/grammar.ts";
import { configSections } from "./config-page.ts";
import { pageOf, type Section } from "./sections.ts";

const head = `# Reference: mesh document

Made by \`npm run docs\` from the grammar that reads a mesh document; \`clearway schema --mesh\` gives the same to an editor, and
\`clearway check --resolved -c mesh.yaml\` prints one with every default. A file with \`trustDomain\` is a mesh document; what
runs at one address, such as a gateway's listeners, is in [the config of that node](config.md).

\`\`\`yaml
trustDomain: store.example
services:
  gateway: {}
  storefront:
    allow: [{ from: gateway }]
  payments:
    allow: [{ from: storefront, method: POST, path: /charge }]
    timeout: 2s
    retry: { attempts: 2 }
  products:
    allow: [{ from: "*" }]
    split: { v1: 90, v2: 10 }
  taxes:
    endpoints: [taxes.example:443]
    tls: {}
    routes: [{ rewrite: { host: taxes.example } }]
\`\`\`

A service with neither \`endpoints\` nor \`dns\` is one of the mesh: its instances register. The others are outside; callers reach
them all the same, and \`mtls\`, \`allow\`, \`audit\` and \`inbound\` do not apply, as nothing of the mesh stands beside them.

\`mtls\`, \`allow\`, \`audit\`, \`inbound\` and \`healthCheck\` hold at the callee: its sidecar asks its app, and callers learn from the
registry. Everything else holds at the callers. Filters run around the request first, then around the call: \`fault\`, \`mirror\`,
those of \`outbound\` and of the route, and last those that repeat the call, \`retry\` at the very end.
Secrets (\`file:PATH\`) and the environment are read where a document is applied, and are part of what is stored.
`;

const sections: readonly Section[] = [
  { title: "Top level", lead: "One file, and those that it includes.", schema: meshRootGrammar },
  { title: "defaults", lead: "For services that say nothing else.", schema: defaultsGrammar },
  {
    title: "services.NAME",
    lead: "A name has at most 63 lower-case letters, digits and dashes; callers reach the service as NAME.mesh.",
    schema: meshServiceGrammar,
  },
  {
    title: "allow[]",
    lead: "A rule of `allow` or `audit`: all that is here must be so.",
    schema: ruleGrammar,
  },
  {
    title: "routes[]",
    lead: "Of a service, at its callers; the most specific wins, and what none takes is the service's. A route without `to`, `redirect` and `respond` goes to the service itself. Hosts are not matched.",
    schema: meshRouteGrammar,
  },
  { title: "limits", lead: "At the top level, for all services.", schema: meshLimitsGrammar },
];

const filterList = `a list of at most ${filtersMax} [filters](filters.md)`;
const optionsOf = (name: string) => `[its options](filters.md#${name})`;

const types: Readonly<Record<string, string>> = {
  filters: filterList,
  inbound: filterList,
  outbound: filterList,
  fault: optionsOf("fault"),
  mirror: optionsOf("mirror"),
  retry: optionsOf("retry"),
};

export function meshPage(): string {
  return pageOf({ head, sections, types, others: { page: "config.md", sections: configSections } });
}
