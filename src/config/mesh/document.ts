/** A whole mesh document: what is said of the mesh, then service by service. */
import type { PluginCode, RefusedFilter } from "../../filter-lookup.ts";
import type { CheckedDocument, DocumentFile, MeshConfig, MeshService } from "../../mesh.ts";
import type { FilterEntry, MessageLimits, SourcePlace } from "../../snapshot.ts";
import type { CertificateContext } from "../certificates.ts";
import { checkFields, type Elsewhere, isMisspelt } from "../check.ts";
import { directoryOf, seenFrom } from "../file-path.ts";
import type { FilterContext } from "../filter-list.ts";
import { meshServiceName } from "../grammar/values.ts";
import { rootGrammar } from "../grammar.ts";
import type { WholeConfig } from "../inclusion.ts";
import { defaultLimits, limitNames, mergeLimits } from "../limits.ts";
import { childOf, emptyPart, type Part } from "../located.ts";
import { namedParts } from "../named-parts.ts";
import { limitsOf } from "../resolved.ts";
import { defaultsGrammar, meshLimitsGrammar, meshRootGrammar } from "./grammar.ts";
import { isOutside, readMeshService } from "./service.ts";

export type DocumentContext = Omit<FilterContext, "services" | "uses"> &
  CertificateContext & { readonly plugins: readonly PluginCode[] };

/** Null when there is any problem. */
export function readMeshDocument(
  { root, whole, files }: WholeConfig,
  given: DocumentContext,
): CheckedDocument | null {
  const context = withoutPackages(given);
  const { report, file } = context;
  const except = ["defaults", "limits", "services"];
  const elsewhere = ofNodes();
  const { some, complete } = checkFields(meshRootGrammar, root, { report, except, elsewhere });
  const defaults = checkFields(defaultsGrammar, childOf(root, "defaults") ?? emptyPart(root), { report });
  const limits = readLimits(root, context);
  const parts = namedParts(root, "services", { report, name: meshServiceName });
  const known = whole && parts !== null && !isMisspelt("services", root, Object.keys(meshRootGrammar.shape));
  const inServices = {
    ...context,
    limits: limits ?? defaultLimits,
    services: known ? new Set(parts.map(([name]) => name)) : null,
    outside: new Set((parts ?? []).flatMap(([name, part]) => (isOutside(part) ? [name] : []))),
    uses: new Map<FilterEntry, readonly string[]>(),
    trustDomain: some.trustDomain ?? "",
    defaultMtls: defaults.some.mtls ?? "strict",
    defaultPolicy: defaults.some.policy ?? "deny",
  };
  const read = (parts ?? []).map(([name, part]) => readMeshService(name, part, inServices));
  if (!complete || !defaults.complete || limits === null || !report.empty) return null;
  const services = read.flatMap((one) => one ?? []);
  const { trustDomain } = inServices;
  const { egress } = defaults.some as Required<typeof defaults.some>;
  const named = (path: string) => seenFrom(directoryOf(file), path).replace(/^\.\//, "");
  const config: MeshConfig = {
    trustDomain,
    egress,
    services: services.map(({ service }) => placed(service, named)),
    plugins: context.plugins,
  };
  return {
    files: files.map(({ name, text }): DocumentFile => ({ name: named(name), text })),
    config,
    resolved: {
      trustDomain,
      defaults: defaults.some,
      limits: writtenLimits(limits),
      services: Object.fromEntries(services.map(({ service, resolved }) => [service.name, resolved])),
    },
  };
}

/** Nodes do not have the packages of whoever applies a document; a file of a user is bundled with all that it imports. */
function withoutPackages(context: DocumentContext): DocumentContext {
  const packages = [...context.filters.keys(), ...context.refused.keys()].filter((name) =>
    name.startsWith("npm:"),
  );
  const refusal: RefusedFilter = {
    refused: "the nodes of a mesh do not have the packages of this machine",
    hints: [
      "import it in a file of your own, such as ./plugins/own.ts: that is sent with all that it imports",
    ],
  };
  const refused = new Map([...context.refused, ...packages.map((name) => [name, refusal] as const)]);
  const filters = new Map([...context.filters].filter(([name]) => !packages.includes(name)));
  return { ...context, filters, refused };
}

/** What belongs in the config of a node. */
function ofNodes(): Elsewhere {
  const hints = ["a gateway has a config of its own, in which `mesh` says what it joins"];
  const names = Object.keys(rootGrammar.shape).filter((name) => !(name in meshRootGrammar.shape));
  const said = (name: string) => ({
    message: `cannot use \`${name}\` in a mesh document: it belongs in the config of a node`,
    hints,
  });
  return Object.fromEntries(names.map((name) => [name, said(name)]));
}

/** Null when they are wrong. */
function readLimits(root: Part, { report }: DocumentContext): MessageLimits | null {
  const part = childOf(root, "limits");
  if (part === null) return defaultLimits;
  const { some, complete } = checkFields(meshLimitsGrammar, part, { report });
  const merged = mergeLimits(defaultLimits, some, { part, report });
  return complete ? merged : null;
}

function writtenLimits(limits: MessageLimits): object {
  const all = limitsOf(limits);
  const names = limitNames.map(([name]) => name).filter((name) => name in meshLimitsGrammar.shape);
  return Object.fromEntries(names.map((name) => [name, all[name]]));
}

/** The same document gives the same config, from whichever folder it is applied. */
function placed(service: MeshService, named: (path: string) => string): MeshService {
  const at = <Item extends { readonly place: SourcePlace }>(item: Item): Item => ({
    ...item,
    place: { ...item.place, file: named(item.place.file) },
  });
  const { callee, caller } = service;
  return {
    ...at(service),
    callee: callee === null ? null : { ...callee, inbound: callee.inbound.map(at) },
    caller: {
      ...caller,
      routes: caller.routes.map((route) => ({ ...at(route), filters: route.filters.map(at) })),
      service: at(caller.service),
    },
  };
}
