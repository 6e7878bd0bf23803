/** Nouns of the mesh for tests: a whole one, of which a test says only what matters to it. */
import { defaultLimits } from "../../../src/config/limits.ts";
import type { Instance, MeshService } from "../../../src/mesh.ts";
import type { FilterEntry, RouteConfig, ServiceConfig } from "../../../src/snapshot.ts";

const place = { file: "mesh.yaml", line: 3 };

export function instance(id: string, changed: Partial<Instance> = {}): Instance {
  return {
    id,
    service: "payments",
    address: { host: "10.0.0.1", port: 4143 },
    version: null,
    zone: null,
    weight: 1,
    state: "healthy",
    ...changed,
  };
}

export function filterEntry(name: string, options: unknown = {}): FilterEntry {
  return { name, id: null, onError: "fail", options, place };
}

export function serviceConfig(name: string, changed: Partial<ServiceConfig> = {}): ServiceConfig {
  return {
    name,
    endpoints: [],
    dns: null,
    registry: null,
    loadBalancing: { policy: "least-latency" },
    slowStartMs: 0,
    panicShare: 0.5,
    healthCheck: null,
    outlierDetection: null,
    tls: null,
    limits: { connections: 1024, pending: 1024, requests: 1024 },
    timeouts: { connectMs: 1000, idleMs: 55_000 },
    messageLimits: defaultLimits,
    place,
    ...changed,
  };
}

export function route(to: string, changed: Partial<RouteConfig> = {}): RouteConfig {
  return {
    name: to,
    match: { host: null, path: null, methods: [], headers: [], query: [] },
    filters: [],
    timeoutMs: 15_000,
    action: {
      kind: "forward",
      to: [{ service: to, version: null, weight: 1 }],
      rewrite: { path: null, host: null },
    },
    place,
    ...changed,
  };
}

export function meshService(name: string, changed: Partial<MeshService> = {}): MeshService {
  return {
    name,
    callee: { mtls: "strict", inbound: [], others: [], healthCheck: null },
    caller: { routes: [route(name)], service: serviceConfig(name), others: [] },
    place,
    ...changed,
  };
}
