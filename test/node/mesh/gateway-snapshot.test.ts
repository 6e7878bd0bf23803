import { describe, expect, test } from "bun:test";
import { defaultLimits } from "../../../src/config/limits.ts";
import type { MeshService } from "../../../src/mesh.ts";
import { gatewaySnapshot, registeredServices } from "../../../src/node/mesh/gateway-snapshot.ts";
import type { MeshKnowledge } from "../../../src/node/mesh/mesh-view.ts";
import type { OwnCredentials } from "../../../src/node/mesh/node-state.ts";
import type { FilterEntry, RouteConfig, RouteMatch, ServiceConfig, Snapshot } from "../../../src/snapshot.ts";
import { filterEntry, meshService, route, serviceConfig } from "./nouns.ts";

const credentials: OwnCredentials = {
  key: "key",
  certificate: "certificate",
  roots: "roots",
  trustDomain: "store.example",
  identity: "spiffe://store.example/edge",
  startsEpochMs: 1,
  expiresEpochMs: 9,
  obtainedEpochMs: 1,
};

function knowing(...services: MeshService[]): MeshKnowledge {
  return {
    version: 1,
    mesh: { trustDomain: "store.example", egress: "deny", removed: [], roots: "roots" },
    services: Object.fromEntries(
      services.map((service) => [
        service.name,
        { rules: { tag: "1", service, plugins: [] }, instances: { tag: "1", list: [] } },
      ]),
    ),
  };
}

const any = route("x").match;
const registered = (name: string, changed: Partial<ServiceConfig> = {}) =>
  serviceConfig(name, { registry: name, ...changed });

function made(routes: readonly RouteConfig[], services: readonly ServiceConfig[], ...mesh: MeshService[]) {
  const file = { listeners: [{ name: "web", routes }], services, plugins: [] } as unknown as Snapshot;
  return gatewaySnapshot({
    refused: new Map(),
    file,
    credentials,
    knowledge: mesh.length === 0 ? null : knowing(...mesh),
  });
}

const routesOf = (snapshot: Snapshot) => snapshot.listeners[0]!.routes;
const namesOf = (filters: readonly FilterEntry[]) => filters.map(({ name }) => name);

function told(name: string, ...routes: RouteConfig[]): MeshService {
  const service = meshService(name);
  return { ...service, caller: { ...service.caller, routes } };
}

describe("gatewaySnapshot", () => {
  test("calls a service of the mesh as itself, and demands that it be the one", () => {
    const { mesh, services } = made([route("payments")], [registered("payments")], meshService("payments"));
    expect(mesh?.identity).toBe("spiffe://store.example/edge");
    expect(services[0]).toMatchObject({
      name: "payments",
      registry: "payments",
      tls: { identity: "spiffe://store.example/payments", serverName: "payments.mesh" },
    });
  });

  test("a service that the file places itself stays as it is, and so do its routes", () => {
    const local = serviceConfig("local", { endpoints: [] });
    const snapshot = made([route("local")], [local], meshService("local"));
    expect(snapshot.services).toEqual([local]);
    expect(routesOf(snapshot)).toEqual([route("local")]);
  });

  test("before the mesh is known its services have no endpoint, and are to be proved all the same", () => {
    const { services } = made([route("payments")], [registered("payments")]);
    expect(services[0]).toMatchObject({
      registry: "payments",
      tls: { identity: "spiffe://store.example/payments" },
    });
  });

  test("the document's filters follow the route's own, but for those that it has, and what repeats is last", () => {
    const own = [filterEntry("headers"), filterEntry("hedge"), filterEntry("mirror", { to: "own" })];
    const theirs = [filterEntry("fault"), filterEntry("mirror", { to: "theirs" }), filterEntry("retry")];
    const snapshot = made(
      [route("payments", { filters: own })],
      [registered("payments")],
      told("payments", route("payments", { filters: theirs })),
    );
    const { filters } = routesOf(snapshot)[0]!;
    expect(namesOf(filters)).toEqual(["headers", "mirror", "fault", "hedge", "retry"]);
    expect(filters[1]!.options).toEqual({ to: "own" });
  });

  test("the document's time-out holds unless the file sets one, and its split is among versions", () => {
    const split = ["v1", "v2"].map((version, index) => ({
      service: "payments",
      version,
      weight: 90 - 80 * index,
    }));
    const action: RouteConfig["action"] = {
      kind: "forward",
      to: split,
      rewrite: { path: null, host: null },
    };
    const theirs = told("payments", route("payments", { timeoutMs: 2_000, action }));
    const own = route("payments", {
      action: { ...route("payments").action, rewrite: { path: "/x", host: null } } as RouteConfig["action"],
    });
    const [first] = routesOf(made([own], [registered("payments")], theirs));
    expect(first).toMatchObject({ timeoutMs: 2_000, action: { to: split, rewrite: { path: "/x" } } });
    const [second] = routesOf(made([{ ...own, timeoutMs: 700 }], [registered("payments")], theirs));
    expect(second!.timeoutMs).toBe(700);
    expect(defaultLimits.routeTimeoutMs).toBe(route("x").timeoutMs);
  });

  test("a document's routes are those parts of the file's that match both", () => {
    const matching = (name: string, match: Partial<RouteMatch>) =>
      route("payments", { name, match: { ...any, ...match } });
    const beta = [{ name: "x-beta", match: { kind: "present" as const } }];
    const theirs = told(
      "payments",
      matching("beta", { headers: beta }),
      matching("refunds", { path: "/api/refunds/*" }),
      matching("other", { path: "/other" }),
      matching("puts", { methods: ["PUT"] }),
      matching("rest", {}),
    );
    const own = matching("api", { host: "shop.example", path: "/api/*", methods: ["GET", "POST"] });
    const routes = routesOf(made([own], [registered("payments")], theirs));
    expect(routes.map(({ name, match }) => [name, match.host, match.path, match.headers.length])).toEqual([
      ["api/beta", "shop.example", "/api/*", 1],
      ["api/refunds", "shop.example", "/api/refunds/*", 0],
      ["api", "shop.example", "/api/*", 0],
    ]);
  });

  test("what the file says of balancing and limits goes before the document's", () => {
    const theirs = meshService("payments", {
      caller: {
        routes: [route("payments")],
        others: [],
        service: serviceConfig("payments", {
          loadBalancing: { policy: "round-robin" },
          limits: { connections: 5, pending: 5, requests: 5 },
        }),
      },
    });
    const own = registered("payments", { loadBalancing: { policy: "random" }, written: ["loadBalancing"] });
    const [service] = made([], [own], theirs).services;
    expect(service!.loadBalancing).toEqual({ policy: "random" });
    expect(service!.limits).toEqual({ connections: 5, pending: 5, requests: 5 });
  });

  test("a default that the file writes goes before the document's value", () => {
    const theirs = meshService("payments", {
      caller: {
        routes: [route("payments", { timeoutMs: 2_000 })],
        others: [],
        service: serviceConfig("payments", {
          loadBalancing: { policy: "round-robin" },
          limits: { connections: 5, pending: 5, requests: 5 },
        }),
      },
    });
    const own = registered("payments", { written: ["loadBalancing", "limits.pending"] });
    const timed = (changed: Partial<RouteConfig>) =>
      routesOf(made([route("payments", changed)], [own], theirs))[0]!.timeoutMs;
    const [service] = made([], [own], theirs).services;
    expect(service!.loadBalancing).toEqual({ policy: "least-latency" });
    expect(service!.limits).toEqual({ connections: 5, pending: 1024, requests: 5 });
    expect([timed({}), timed({ timeoutSource: "written" })]).toEqual([2_000, 15_000]);
  });

  test("services that the document's filters send to are there too, under another name of the file as well", () => {
    const mirrored: MeshService = {
      ...meshService("payments"),
      caller: { ...meshService("payments").caller, others: ["shadow"] },
    };
    const pay = serviceConfig("pay", { registry: "payments" });
    const snapshot = made([route("pay")], [pay], mirrored, meshService("shadow"));
    expect(registeredServices({ services: [pay] })).toEqual(["payments"]);
    expect(snapshot.services.map(({ name, registry }) => [name, registry])).toEqual([
      ["pay", "payments"],
      ["shadow", "shadow"],
    ]);
    expect(routesOf(snapshot)[0]!.action).toMatchObject({ to: [{ service: "pay" }] });
  });
});
