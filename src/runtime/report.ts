/** What a worker's runtime looks like at a moment: plain data, for /snapshot and the dashboard. */

import { addressText } from "./endpoint.ts";
import type { Generation } from "./generation.ts";
import type { Listener } from "./listener.ts";
import type { Service } from "./service.ts";

export interface EndpointReport {
  readonly address: string;
  readonly weight: number;
  readonly zone: string | null;
  readonly version: string | null;
  /** The verdict of active checks. */
  readonly health: "healthy" | "unhealthy";
  /** Null when it is not ejected. */
  readonly ejectedUntilEpochMs: number | null;
  /** Less than its weight during a slow start, 0 while it gets nothing. */
  readonly weightInEffect: number;
  readonly outstanding: number;
  /** The balancer's estimate of the time to an answer's head. */
  readonly latencyMs: number;
  readonly connections: number;
  readonly idleConnections: number;
}

export interface ServiceReport {
  readonly name: string;
  readonly requests: number;
  /** Tries that wait for a connection. */
  readonly waiting: number;
  /** Why discovery found no endpoint; null when it did, or was not asked. */
  readonly discoveryProblem: string | null;
  /** In a panic so few endpoints are well that all are used. */
  readonly panic: "yes" | "no";
  readonly endpoints: readonly EndpointReport[];
}

export interface ListenerReport {
  readonly name: string;
  readonly address: string;
  readonly state: "serving" | "leaving";
  readonly connections: number;
}

export interface RuntimeReport {
  /** The snapshot that serves; 0 before the first. */
  readonly version: number;
  /** Generations with requests in them, the serving one included. */
  readonly generations: number;
  /** Requests of the serving generation that have not ended. */
  readonly activeRequests: number;
  readonly listeners: readonly ListenerReport[];
  readonly services: readonly ServiceReport[];
}

export interface ReportSources {
  readonly current: Generation | null;
  readonly generations: number;
  readonly listeners: readonly Listener[];
  readonly leaving: readonly Listener[];
  readonly now: number;
  readonly epochMs: number;
}

export function report(sources: ReportSources): RuntimeReport {
  const { current, generations, listeners, leaving } = sources;
  return {
    version: current?.snapshot.version ?? 0,
    generations,
    activeRequests: current?.active ?? 0,
    listeners: [
      ...listeners.map((listener) => listenerReport(listener, "serving")),
      ...leaving.map((listener) => listenerReport(listener, "leaving")),
    ],
    services:
      current === null
        ? []
        : [...current.services.values()].map((service) => serviceReport(service, sources)),
  };
}

function listenerReport(listener: Listener, state: "serving" | "leaving"): ListenerReport {
  const { config } = listener.live;
  const address = addressText(listener.socket?.address ?? config.bind);
  return { name: config.name, address, state, connections: listener.open.size };
}

function serviceReport(service: Service, { now, epochMs }: ReportSources): ServiceReport {
  const { config, roster } = service;
  return {
    name: config.name,
    requests: service.requests,
    waiting: service.waitingCount,
    discoveryProblem: roster.discoveryProblem,
    panic: roster.panic,
    endpoints: service.endpoints.map((endpoint) => {
      const { load, standing } = endpoint;
      const ejectedForMs = standing.ejectedUntilMs - now;
      return {
        address: endpoint.name,
        weight: load.weight,
        zone: endpoint.zone,
        version: endpoint.version,
        health: standing.health,
        ejectedUntilEpochMs: ejectedForMs > 0 ? Math.round(epochMs + ejectedForMs) : null,
        weightInEffect: Math.round(roster.weightInEffect(endpoint) * 1000) / 1000,
        outstanding: load.outstanding,
        latencyMs: Math.round(load.latencyMs(now) * 1000) / 1000,
        connections: endpoint.open.size,
        idleConnections: endpoint.readyCount,
      };
    }),
  };
}
