/** Services: their endpoints, and what is sent to them at most. */

import type { Address } from "../machine.ts";
import type { EndpointConfig, MessageLimits, ServiceConfig } from "../snapshot.ts";
import { formatAddress, placeAddress } from "./address.ts";
import { readOutlierDetection } from "./balancing.ts";
import type { CertificateContext } from "./certificates.ts";
import { check, checkFields, checkList, isMisspelt } from "./check.ts";
import { readDns, readHealthCheck } from "./discovery.ts";
import {
  endpointGrammar,
  endpointsMax,
  serviceGrammar,
  serviceLimitsGrammar,
  timeoutsGrammar,
} from "./grammar/service.ts";
import { inMeshDocument } from "./grammar.ts";
import { mergeLimits, usedServicesMax } from "./limits.ts";
import { childOf, childrenOf, emptyPart, isNothing, type Part, spotOf } from "./located.ts";
import type { Report } from "./problem.ts";
import { lineOf, placeName } from "./source.ts";
import { readServiceTls } from "./tls.ts";

export interface ServiceContext extends CertificateContext {
  readonly limits: MessageLimits;
  /** Whether a mesh's registry knows where services are that do not say so. */
  readonly registry: "yes" | "no";
}

/** Null when anything in it is wrong. */
export function readService(name: string, part: Part, context: ServiceContext): ServiceConfig | null {
  const { report } = context;
  const except = ["endpoints", "dns", "healthCheck", "outlierDetection", "tls", "limits", "timeouts"];
  const elsewhere = inMeshDocument.service;
  const { some, complete } = checkFields(serviceGrammar, part, { report, except, elsewhere });
  const source = readSource(name, part, context);
  const healthCheck = readHealthCheck(part, report);
  const outlierDetection = readOutlierDetection(part, report);
  const limitsPart = childOf(part, "limits") ?? emptyPart(part);
  const limits = checkFields(serviceLimitsGrammar, limitsPart, { report });
  const timeouts = checkFields(timeoutsGrammar, childOf(part, "timeouts") ?? emptyPart(part), { report });
  const tls = readServiceTls(part, context);
  const merged = mergeLimits(context.limits, limits.some, { part: limitsPart, report });
  const { connections, pending, requests } = limits.some;
  const { connect, idle } = timeouts.some;
  if (!complete || !limits.complete || !timeouts.complete || source === null) return null;
  if (tls === "wrong" || healthCheck === "wrong" || outlierDetection === "wrong") return null;
  if (connections === undefined || pending === undefined || requests === undefined) return null;
  if (connect === undefined || idle === undefined) return null;
  const { loadBalancing, slowStart, panic } = some as Required<typeof some>;
  return {
    name,
    ...source,
    loadBalancing,
    slowStartMs: slowStart,
    panicShare: panic,
    healthCheck,
    outlierDetection,
    tls,
    limits: { connections, pending, requests },
    timeouts: { connectMs: connect, idleMs: idle },
    messageLimits: { ...merged, idleTimeoutMs: idle },
    place: { file: part.key.file.name, line: lineOf(part.key) },
  };
}

/** Of one more its node would hear neither where it is nor what holds for it. `services`: what the parts say. */
export function checkRegistered(
  parts: readonly [name: string, part: Part][],
  services: readonly (ServiceConfig | null)[],
  report: Report,
): void {
  const registered = parts.filter((_, index) => (services[index]?.registry ?? null) !== null);
  if (registered.length <= usedServicesMax) return;
  const [name, { key, path }] = registered[usedServicesMax]!;
  const message = `cannot use ${name} too: a node uses at most ${usedServicesMax} services of its mesh, and these are ${registered.length}`;
  const hints = ["divide the routes among several gateways, or say where services are: `endpoints` or `dns`"];
  report.add(key, path, { message, hints });
}

/** For one whose settings a mesh document may say too. */
export function withWritten(service: ServiceConfig | null, part: Part): ServiceConfig | null {
  return service === null || service.registry === null ? service : { ...service, written: writtenIn(part) };
}

/** Settings of a service that a mesh document may have too, as far as this file has them. */
function writtenIn(service: Part): readonly string[] {
  const within = (name: string) =>
    childrenOf(childOf(service, name) ?? emptyPart(service)).map(([key]) => `${name}.${key}`);
  const whole = ["loadBalancing", "slowStart", "panic", "outlierDetection"];
  const names = whole.filter((name) => childOf(service, name) !== null);
  return [...names, ...within("limits"), ...within("timeouts")];
}

/** Where its endpoints come from: exactly one of the two keys says so. */
function readSource(
  name: string,
  service: Part,
  { report, registry }: ServiceContext,
): Pick<ServiceConfig, "endpoints" | "dns" | "registry"> | null {
  const dnsPart = childOf(service, "dns");
  if (registry === "yes" && !saysWhere(service)) return { endpoints: [], dns: null, registry: name };
  if (dnsPart === null) {
    const endpoints = readEndpoints(service, report);
    return endpoints === null ? null : { endpoints, dns: null, registry: null };
  }
  const dns = readDns(dnsPart, report);
  const list = childOf(service, "endpoints");
  if (list !== null) {
    const message = "cannot use `dns` beside `endpoints`: wanted one of the two";
    const hints = [`endpoints stand at ${placeName(list.key)}`];
    report.add(dnsPart.key, dnsPart.path, { message, hints });
    return null;
  }
  return dns === null ? null : { endpoints: [], dns, registry: null };
}

/** Whether a service is where its config says, and not where a mesh's registry does. */
export function saysWhere(
  service: Part,
  keys: readonly string[] = Object.keys(serviceGrammar.shape),
): boolean {
  return ["endpoints", "dns"].some((key) => childOf(service, key) !== null || isMisspelt(key, service, keys));
}

function readEndpoints(service: Part, report: Report): readonly EndpointConfig[] | null {
  const list = childOf(service, "endpoints");
  const wanted = "a list of addresses";
  if (service.node.kind !== "map" && !isNothing(service)) return null;
  if (list === null || isNothing(list)) {
    const keys = Object.keys(serviceGrammar.shape);
    if (["endpoints", "dns"].some((key) => isMisspelt(key, service, keys))) return null;
    const message = `cannot find \`endpoints\` here: wanted ${wanted}, or \`dns\` instead`;
    report.add(list?.key ?? service.key, [...service.path, "endpoints"], { message });
    return null;
  }
  const parts = checkList(list, { wanted, entriesMax: endpointsMax, report });
  if (parts === null) return null;
  const read = parts.map((part) => ({ part, endpoint: readEndpoint(part, report) }));
  const endpoints = read.flatMap(({ endpoint }) => endpoint ?? []);
  const unique = checkUnique(read, report);
  if (endpoints.length !== read.length || !unique) return null;
  if (endpoints.length > 0 && endpoints.every(({ weight }) => weight === 0)) {
    const message = "cannot share requests by these weights: wanted at least one above 0";
    report.add(spotOf(list), list.path, { message });
    return null;
  }
  return endpoints;
}

function readEndpoint(part: Part, report: Report): EndpointConfig | null {
  const checked = check(endpointGrammar, part, report);
  if (!checked.ok) return null;
  const written = checked.value;
  const whole =
    "address" in written ? written : { address: written, weight: 1, zone: undefined, version: undefined };
  const address = placeAddress(whole.address, childOf(part, "address") ?? part, report);
  if (address === null) return null;
  const { weight, zone = null, version = null } = whole;
  return { address, weight, zone, version };
}

function checkUnique(
  read: readonly { readonly part: Part; readonly endpoint: { readonly address: Address } | null }[],
  report: Report,
): boolean {
  const first = new Map<string, Part>();
  let unique = true;
  for (const { part, endpoint } of read) {
    if (endpoint === null) continue;
    const name = formatAddress(endpoint.address);
    const earlier = first.get(name);
    if (earlier === undefined) {
      first.set(name, part);
      continue;
    }
    unique = false;
    report.add(spotOf(part), part.path, {
      message: `cannot use ${name} twice in one service: wanted it once, with a weight`,
      hints: [`the first is at ${placeName(earlier.node.range)}`],
    });
  }
  return unique;
}
