/** What the workers of a node look like as one. */
import type { EndpointReport, ListenerReport, RuntimeReport, ServiceReport } from "../runtime/report.ts";

export type NodeReport = Pick<RuntimeReport, "listeners" | "services">;

/** Counts are added up; a latency is the mean of those that know one; of what is not well, the worst that one sees. */
export function mergedReport(reports: readonly RuntimeReport[]): NodeReport {
  return {
    listeners: merged(
      reports.flatMap(({ listeners }) => listeners),
      ({ name, state }) => `${state} ${name}`,
      oneListener,
    ),
    services: merged(
      reports.flatMap(({ services }) => services),
      ({ name }) => name,
      oneService,
    ),
  };
}

function merged<Part>(
  parts: readonly Part[],
  keyOf: (part: Part) => string,
  one: (parts: readonly [Part, ...Part[]]) => Part,
): Part[] {
  const byKey = new Map<string, [Part, ...Part[]]>();
  for (const part of parts) {
    const known = byKey.get(keyOf(part));
    if (known === undefined) byKey.set(keyOf(part), [part]);
    else known.push(part);
  }
  return [...byKey.values()].map(one);
}

function oneListener(listeners: readonly [ListenerReport, ...ListenerReport[]]): ListenerReport {
  return { ...listeners[0], connections: sum(listeners, "connections") };
}

function oneService(services: readonly [ServiceReport, ...ServiceReport[]]): ServiceReport {
  return {
    ...services[0],
    requests: sum(services, "requests"),
    waiting: sum(services, "waiting"),
    panic: services.some(({ panic }) => panic === "yes") ? "yes" : "no",
    discoveryProblem: services.find((service) => service.discoveryProblem !== null)?.discoveryProblem ?? null,
    endpoints: merged(
      services.flatMap(({ endpoints }) => endpoints),
      ({ address }) => address,
      oneEndpoint,
    ),
  };
}

function oneEndpoint(endpoints: readonly [EndpointReport, ...EndpointReport[]]): EndpointReport {
  const known = endpoints.filter(({ latencyMs }) => latencyMs > 0);
  return {
    ...endpoints[0],
    health: endpoints.some(({ health }) => health === "unhealthy") ? "unhealthy" : "healthy",
    ejectedUntilEpochMs: latest(endpoints),
    weightInEffect: Math.min(...endpoints.map(({ weightInEffect }) => weightInEffect)),
    outstanding: sum(endpoints, "outstanding"),
    connections: sum(endpoints, "connections"),
    idleConnections: sum(endpoints, "idleConnections"),
    latencyMs: known.length === 0 ? 0 : Math.round((sum(known, "latencyMs") / known.length) * 1000) / 1000,
  };
}

function latest(endpoints: readonly EndpointReport[]): number | null {
  const times = endpoints.flatMap(({ ejectedUntilEpochMs }) => ejectedUntilEpochMs ?? []);
  return times.length === 0 ? null : Math.max(...times);
}

function sum<Name extends string>(parts: readonly Record<Name, number>[], name: Name): number {
  return parts.reduce((total, part) => total + part[name], 0);
}
