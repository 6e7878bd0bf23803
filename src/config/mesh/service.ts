/** A service of a mesh document: what runs beside it, and what runs at those who call it. */
import type { MeshService } from "../../mesh.ts";
import type { FilterEntry, HealthCheckConfig, MessageLimits, ServiceConfig } from "../../snapshot.ts";
import type { CertificateContext } from "../certificates.ts";
import { checkFields } from "../check.ts";
import { writtenHealthCheck } from "../discovery.ts";
import { readFilters } from "../filter-list.ts";
import { serviceGrammar } from "../grammar/service.ts";
import { childOf, childrenOf, emptyPart, type Part } from "../located.ts";
import { nearestHints } from "../nearest.ts";
import { filterOf, serviceOf } from "../resolved.ts";
import { readService, saysWhere } from "../services.ts";
import { lineOf } from "../source.ts";
import { type CallerContext, readCaller } from "./caller.ts";
import { meshServiceGrammar } from "./grammar.ts";
import { type PolicyContext, policyName, readPolicy } from "./policy.ts";

export interface MeshContext extends CallerContext, CertificateContext, PolicyContext {
  readonly limits: MessageLimits;
  readonly defaultMtls: "strict" | "permissive";
}

export interface ReadMeshService {
  readonly service: MeshService;
  /** In the document's grammar. */
  readonly resolved: object;
}

/** Read by somebody else than the grammar of the service as a whole. */
const serviceKeys = Object.keys(serviceGrammar.shape);
const meshServiceKeys = Object.keys(meshServiceGrammar.shape);
const readApart = ["allow", "audit", "inbound", "outbound", "split", "fault", "mirror", "retry", "routes"];
/** What only a sidecar can do, or know. */
const calleeKeys = ["mtls", "allow", "audit", "inbound"];

/** Null when anything in it is wrong. */
export function readMeshService(name: string, part: Part, context: MeshContext): ReadMeshService | null {
  const { report, limits } = context;
  const except = [...serviceKeys, ...readApart];
  const { some, complete } = checkFields(meshServiceGrammar, part, { report, except });
  const where = isOutside(part) ? "outside" : "inside";
  const placed = where === "outside" ? checkOutside(part, context) : checkInside(part, context);
  const config = readService(name, onlyKeys(part, serviceKeys), { ...context, registry: "yes" });
  const callee = readCallee(part, some.mtls, context);
  const timeoutMs = some.timeout ?? limits.routeTimeoutMs;
  const caller = readCaller({ name, part, timeoutMs }, context);
  if (!complete || !placed || config === null || callee === null || caller === null) return null;
  const place = { file: part.key.file.name, line: lineOf(part.key) };
  const { rules, resolved } = caller;
  if (where === "outside") {
    if (!hasVersions(part, config, context)) return null;
    return {
      service: { name, callee: null, caller: { ...rules, service: config }, place },
      resolved: { ...resolved, ...serviceOf(config) },
    };
  }
  const called: ServiceConfig = { ...config, healthCheck: null };
  const beside = { ...callee.rules, healthCheck: config.healthCheck };
  return {
    service: { name, callee: beside, caller: { ...rules, service: called }, place },
    resolved: { ...callee.resolved, ...healthCheckOf(config.healthCheck), ...resolved, ...serviceOf(called) },
  };
}

/** It says itself where it is. */
export function isOutside(part: Part): boolean {
  return saysWhere(part, meshServiceKeys);
}

function readCallee(part: Part, written: MeshContext["defaultMtls"] | undefined, context: MeshContext) {
  const { report, shown, uses } = context;
  const policy = readPolicy(part, context);
  const list = childOf(part, "inbound");
  const listed = readFilters(list, "route", context);
  const twice = listed?.findIndex(({ name }) => name === policyName) ?? -1;
  if (twice >= 0) {
    const { key, path } = childOf(list!, twice)!;
    const message = "cannot list policy here: wanted `allow` and `audit` of the service";
    report.add(key, path, { message });
  }
  if (policy === null || listed === null || twice >= 0) return null;
  const mtls = written ?? context.defaultMtls;
  const inbound: readonly FilterEntry[] = [policy.entry, ...listed];
  const others = [...new Set(listed.flatMap((entry) => uses.get(entry) ?? []))];
  return {
    rules: { mtls, inbound, others },
    resolved: { mtls, ...policy.resolved, inbound: listed.map((entry) => filterOf(entry, shown)) },
  };
}

function checkOutside(part: Part, { report }: MeshContext): boolean {
  const keys = childOf(part, "dns") === null ? calleeKeys : [...calleeKeys, "split"];
  const wrong = keys.flatMap((key) => childOf(part, key) ?? []);
  for (const { key, path } of wrong) {
    const name = String(path.at(-1));
    const reason =
      name === "split" ? "DNS knows no versions" : "no node of the mesh stands beside its endpoints";
    const message = `cannot use \`${name}\` for a service outside the mesh: ${reason}`;
    const hints = ["a service with neither `endpoints` nor `dns` is one of the mesh"];
    report.add(key, path, { message, hints });
  }
  const tls = childOf(part, "tls");
  const secret = tls === null ? null : childOf(tls, "key");
  if (secret !== null) {
    const message = "cannot give a private key to every node that calls this service";
    const hints = ["put a gateway with the key in front of it, which is a service of the mesh"];
    report.add(secret.key, secret.path, { message, hints });
  }
  return wrong.length === 0 && secret === null;
}

/** Whether an endpoint has each version that is sent to; of a service of the mesh nobody knows who will register. */
function hasVersions(part: Part, { endpoints }: ServiceConfig, { report }: MeshContext): boolean {
  const known = endpoints.flatMap(({ version }) => version ?? []);
  const places = [part, ...childrenOf(childOf(part, "routes") ?? emptyPart(part)).map(([, route]) => route)];
  const wrong = places
    .flatMap((place) => childrenOf(childOf(place, "split") ?? emptyPart(part)))
    .filter(([version]) => !known.includes(version));
  for (const [version, { key, path }] of wrong) {
    const message = `cannot send to version ${JSON.stringify(version)}: no endpoint has it`;
    report.add(key, path, { message, hints: nearestHints(version, known) });
  }
  return wrong.length === 0;
}

function checkInside(part: Part, { report }: MeshContext): boolean {
  const tls = childOf(part, "tls");
  if (tls === null) return true;
  const message =
    "cannot use `tls` for a service of the mesh: its connections show the mesh's own certificates";
  report.add(tls.key, tls.path, { message, hints: ["`mtls` says whether it takes callers without one too"] });
  return false;
}

function healthCheckOf(healthCheck: HealthCheckConfig | null): object {
  return healthCheck === null ? {} : { healthCheck: writtenHealthCheck(healthCheck) };
}

function onlyKeys(part: Part, names: readonly string[]): Part {
  const { node } = part;
  if (node.kind !== "map") return part;
  const entries = new Map([...node.entries].filter(([name]) => names.includes(name)));
  return { ...part, node: { ...node, entries } };
}
