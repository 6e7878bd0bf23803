import { expect, test } from "bun:test";
import { mergedReport } from "../../src/node/merged-report.ts";
import type { EndpointReport, RuntimeReport, ServiceReport } from "../../src/runtime/report.ts";

const endpoint: EndpointReport = {
  address: "10.0.0.1:80",
  weight: 2,
  zone: null,
  version: null,
  health: "healthy",
  ejectedUntilEpochMs: null,
  weightInEffect: 2,
  outstanding: 1,
  latencyMs: 10,
  connections: 3,
  idleConnections: 2,
};

function reportOf(service: Partial<ServiceReport>, changes: Partial<EndpointReport> = {}): RuntimeReport {
  const orders: ServiceReport = {
    name: "orders",
    requests: 1,
    waiting: 1,
    panic: "no",
    discoveryProblem: null,
    endpoints: [{ ...endpoint, ...changes }],
    ...service,
  };
  return { version: 1, generations: 1, activeRequests: 0, listeners: [], services: [orders] };
}

test("mergedReport adds up what workers count, and shows the worst that one of them sees", () => {
  const [service] = mergedReport([
    reportOf({}),
    reportOf({ panic: "yes", requests: 4 }, { ejectedUntilEpochMs: 5_000, weightInEffect: 0, latencyMs: 30 }),
    reportOf(
      { discoveryProblem: "no answer" },
      { health: "unhealthy", ejectedUntilEpochMs: 4_000, latencyMs: 0 },
    ),
  ]).services;
  expect(service).toMatchObject({ requests: 6, waiting: 3, panic: "yes", discoveryProblem: "no answer" });
  expect(service!.endpoints).toEqual([
    {
      ...endpoint,
      health: "unhealthy",
      ejectedUntilEpochMs: 5_000,
      weightInEffect: 0,
      outstanding: 3,
      latencyMs: 20,
      connections: 9,
      idleConnections: 6,
    },
  ]);
});

test("mergedReport of workers that see nothing wrong shows nothing wrong", () => {
  const [service] = mergedReport([reportOf({}), reportOf({})]).services;
  expect(service).toMatchObject({ panic: "no", discoveryProblem: null });
  expect(service!.endpoints[0]).toMatchObject({
    health: "healthy",
    ejectedUntilEpochMs: null,
    weightInEffect: 2,
  });
});
