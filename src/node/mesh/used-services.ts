/** What of the mesh a node uses, as its snapshot's services: where they are, whom they have to be, what they are shown. */
import type { PluginCode } from "../../filter-lookup.ts";
import { identityText } from "../../identity.ts";
import type { MeshService } from "../../mesh.ts";
import type { CertificateConfig, ServiceConfig, ServiceTls } from "../../snapshot.ts";
import type { MeshKnowledge } from "./mesh-view.ts";
import type { OwnCredentials } from "./node-state.ts";

/** Services that a node names, and those that they lead to: of fewer it is told, and of the others says so. */
const namedServicesMax = 10_000;

/** The one DNS name of a service's certificates, and the host under which callers ask for it. */
export function meshHost(service: string): string {
  return `${service}.mesh`.toLowerCase();
}

/** Null where the mesh document has no such service, or nothing was heard of it yet. */
export function rulesOf(knowledge: MeshKnowledge | null, service: string): MeshService | null {
  if (knowledge === null || !Object.hasOwn(knowledge.services, service)) return null;
  return knowledge.services[service]!.rules?.service ?? null;
}

/** These first, then those that their filters and routes may send to besides. */
export function withOthers(wanted: Iterable<string>, knowledge: MeshKnowledge | null): readonly string[] {
  const found = new Set<string>();
  const waiting = [...wanted];
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    if (found.has(name) || found.size === namedServicesMax) continue;
    found.add(name);
    waiting.push(...(rulesOf(knowledge, name)?.caller.others ?? []));
  }
  return [...found];
}

/** Who vouches for everybody may have changed since the certificate was made. */
export function withNewestRoots(own: OwnCredentials, knowledge: MeshKnowledge | null): OwnCredentials {
  return knowledge === null ? own : { ...own, roots: knowledge.mesh.roots };
}

/** As the node that has these credentials calls it. */
export function calledService(
  { name, callee, caller }: MeshService,
  credentials: OwnCredentials,
): ServiceConfig {
  // Outside the mesh no node stands beside it: it is where the document says.
  if (callee === null) return caller.service;
  return {
    ...caller.service,
    name,
    endpoints: [],
    dns: null,
    registry: name,
    healthCheck: null,
    tls: meshTls(name, credentials),
  };
}

function meshTls(service: string, credentials: OwnCredentials): ServiceTls {
  const { trustDomain, roots } = credentials;
  return {
    ca: roots,
    caFile: null,
    serverName: meshHost(service),
    verification: "full",
    identity: identityText({ trustDomain, service }),
    certificate: ownCertificate(credentials),
  };
}

export function ownCertificate({
  certificate,
  key,
  identity,
  expiresEpochMs,
}: OwnCredentials): CertificateConfig {
  const service = identity.slice(identity.lastIndexOf("/") + 1);
  return {
    certificate,
    key,
    files: { certificate: identity, key: identity },
    names: [meshHost(service)],
    expiresEpochMs,
    place: { file: identity, line: 1 },
  };
}

/** The code of users' filters that these services' rules name. */
export function pluginsOf(
  services: readonly string[],
  knowledge: MeshKnowledge | null,
): readonly PluginCode[] {
  const all = services.flatMap((name) => {
    const known =
      knowledge !== null && Object.hasOwn(knowledge.services, name) ? knowledge.services[name]! : null;
    return known?.rules?.plugins ?? [];
  });
  return [...new Map(all.map((plugin) => [plugin.name, plugin])).values()];
}
