/** Mesh documents and instances as the tests of the coordinator need them. */
import type { Instance, MeshService } from "../../src/mesh.ts";
import type { FilterEntry, RouteConfig, ServiceConfig } from "../../src/snapshot.ts";

export function instance(id: string, service: string, more: Partial<Instance> = {}): Instance {
  const address = { host: "10.0.0.1", port: 4143 };
  return { id, service, address, version: null, zone: null, weight: 1, state: "healthy", ...more };
}

export interface ServiceWords {
  /** Makes other rules, for callers. */
  readonly timeoutMs?: number;
  /** Makes other rules, for its own nodes. */
  readonly inbound?: readonly string[];
  readonly line?: number;
}

export function meshService(name: string, { timeoutMs = 1000, inbound = [], line = 1 }: ServiceWords = {}) {
  const place = { file: "mesh.yaml", line };
  const entry = (filter: string): FilterEntry => ({
    name: filter,
    id: null,
    onError: "fail",
    options: {},
    place,
  });
  const route: RouteConfig = {
    name: `${name}/0`,
    match: { hosts: [], path: null, methods: [], headers: [], query: [] } as unknown as RouteConfig["match"],
    filters: [],
    timeoutMs,
    action: {
      kind: "forward",
      to: [{ service: name, weight: 1, version: null }],
      rewrite: { path: null, host: null },
    },
    place,
  };
  const rules: MeshService = {
    name,
    callee: { mtls: "strict", inbound: inbound.map(entry), others: [], healthCheck: null },
    caller: { routes: [route], service: { name, place } as unknown as ServiceConfig, others: [] },
    place,
  };
  return rules;
}
