/** What a worker's runtime looks like at a moment: plain data, for /snapshot and the dashboard. */
import type { Generation } from "./generation.ts";
import type { Listener } from "./listener.ts";
import { addressText, type Service } from "./service.ts";

export interface EndpointReport {
  readonly address: string;
  readonly weight: number;
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
}

export function report({ current, generations, listeners, leaving, now }: ReportSources): RuntimeReport {
  return {
    version: current?.snapshot.version ?? 0,
    generations,
    activeRequests: current?.active ?? 0,
    listeners: [
      ...listeners.map((listener) => listenerReport(listener, "serving")),
      ...leaving.map((listener) => listenerReport(listener, "leaving")),
    ],
    services:
      current === null ? [] : [...current.services.values()].map((service) => serviceReport(service, now)),
  };
}

function listenerReport(listener: Listener, state: "serving" | "leaving"): ListenerReport {
  const { config } = listener.live;
  const address = addressText(listener.socket?.address ?? config.bind);
  return { name: config.name, address, state, connections: listener.open.size };
}

function serviceReport(service: Service, now: number): ServiceReport {
  return {
    name: service.config.name,
    requests: service.requests,
    waiting: service.waitingCount,
    endpoints: service.endpoints.map((endpoint) => ({
      address: endpoint.name,
      weight: endpoint.load.weight,
      outstanding: endpoint.load.outstanding,
      latencyMs: Math.round(endpoint.load.latencyMs(now) * 1000) / 1000,
      connections: endpoint.open.size,
      idleConnections: endpoint.readyCount,
    })),
  };
}
