import { describe, expect, test } from "bun:test";
import { defaultLimits } from "../../../src/config/limits.ts";
import type { MeshService } from "../../../src/mesh.ts";
import { gatewaySnapshot, registeredServices } from "../../../src/node/mesh/gateway-snapshot.ts";
import type { MeshKnowledge } from "../../../src/node/mesh/mesh-view.ts";
import type { OwnCredentials } from "../../../src/node/mesh/node-state.ts";
import type {
  FilterEntry,
  Rewrite,
  RouteConfig,
  RouteMatch,
  ServiceConfig,
  Snapshot,
} from "../../../src/snapshot.ts";
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
  return madeWith(new Map(), { routes, services, mesh });
}

interface Given {
  readonly routes: readonly RouteConfig[];
  readonly services: readonly ServiceConfig[];
  readonly mesh: readonly MeshService[];
}

function madeWith(refused: ReadonlyMap<string, string>, { routes, services, mesh }: Given) {
  const file = { listeners: [{ name: "web", routes }], services, plugins: [] } as unknown as Snapshot;
  return gatewaySnapshot({
    refused,
    file,
    credentials,
    knowledge: mesh.length === 0 ? null : knowing(...mesh),
  });
}

/** A weight for each service. */
function sharing(to: Readonly<Record<string, number>>, rewrite: Rewrite = { path: null, host: null }) {
  const targets = Object.entries(to).map(([service, weight]) => ({ service, version: null, weight }));
  return { kind: "forward", to: targets, rewrite } as const;
}

/** By service, its own routes within this one. */
function within({ action }: RouteConfig): Readonly<Record<string, readonly RouteConfig[] | undefined>> {
  if (action.kind !== "forward") return {};
  return Object.fromEntries(action.to.map(({ service, routes }) => [service, routes]));
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

  test("the document's filters follow the route's own, but for those that it has", () => {
    const own = [filterEntry("headers"), filterEntry("hedge"), filterEntry("mirror", { to: "own" })];
    const theirs = [filterEntry("fault"), filterEntry("mirror", { to: "theirs" }), filterEntry("retry")];
    const snapshot = made(
      [route("payments", { filters: own })],
      [registered("payments")],
      told("payments", route("payments", { filters: theirs })),
    );
    const { filters } = routesOf(snapshot)[0]!;
    expect(namesOf(filters)).toEqual(["headers", "hedge", "mirror", "fault", "retry"]);
    expect(filters[2]!.options).toEqual({ to: "own" });
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

  test("a document's routes take the requests of the file's route apart once more, and take none of another's", () => {
    const matching = (name: string, match: Partial<RouteMatch>) =>
      route("payments", { name, match: { ...any, ...match } });
    const beta = [{ name: "x-beta", match: { kind: "present" as const } }];
    const theirs = told(
      "payments",
      matching("beta", { headers: beta }),
      matching("cards", { path: "/users/7/*" }),
      { ...matching("puts", { methods: ["PUT"] }), timeoutMs: 70, filters: [filterEntry("retry")] },
      matching("rest", {}),
    );
    const own = { ...matching("api", { path: "/users/:id/cards" }), filters: [filterEntry("jwt")] };
    const [only, ...more] = routesOf(made([own], [registered("payments")], theirs));
    expect(more).toEqual([]);
    expect(only).toMatchObject({ name: "api", match: own.match, filters: own.filters });
    expect(
      within(only!).payments?.map(({ name, match, filters, timeoutMs }) => [
        ...[name, match.path, match.methods.length, match.headers.length],
        ...[namesOf(filters), timeoutMs],
      ]),
    ).toEqual([
      ["api/beta", null, 0, 1, [], 15_000],
      ["api/cards", "/users/7/*", 0, 0, [], 15_000],
      ["api/puts", null, 1, 0, ["retry"], 70],
      ["api", null, 0, 0, [], 15_000],
    ]);
  });

  test("a route that shares its requests goes by each service's own rules, whoever else it names", () => {
    const retry = [filterEntry("retry"), filterEntry("mirror", { to: "theirs" })];
    const theirs = told("payments", route("payments", { filters: retry, timeoutMs: 2_000 }));
    const own = route("all", {
      filters: [filterEntry("jwt"), filterEntry("mirror", { to: "own" })],
      action: sharing({ payments: 9, local: 1 }),
    });
    const services = [registered("payments"), serviceConfig("local")];
    const [shared] = routesOf(made([own], services, theirs));
    expect(shared).toMatchObject({
      name: "all",
      filters: own.filters,
      action: sharing({ payments: 9, local: 1 }),
    });
    const { payments, local } = within(shared!);
    expect(payments).toMatchObject([
      { name: "all", filters: [{ name: "retry" }], timeoutMs: 2_000, action: sharing({ payments: 1 }) },
    ]);
    expect(local).toMatchObject([
      { name: "all", match: any, filters: [], timeoutMs: 15_000, action: sharing({ local: 1 }) },
    ]);
  });

  test("a route that shares its requests keeps its own time-out for all", () => {
    const theirs = told("payments", route("payments", { timeoutMs: 2_000 }));
    const own = route("all", { timeoutMs: 700, action: sharing({ payments: 1, orders: 1 }) });
    const services = [registered("payments"), registered("orders")];
    const [shared] = routesOf(made([own], services, theirs, told("orders", route("orders"))));
    const timeouts = Object.values(within(shared!)).flatMap((routes) =>
      routes?.map(({ timeoutMs }) => timeoutMs),
    );
    expect(timeouts).toEqual([700, 700]);
  });

  test("a route whose services the mesh says nothing of stays as the file has it", () => {
    const own = route("all", { action: sharing({ payments: 1, orders: 1 }) });
    expect(routesOf(made([own], [registered("payments"), registered("orders")]))).toEqual([own]);
    const local = [serviceConfig("payments"), serviceConfig("orders")];
    expect(routesOf(made([own], local, meshService("payments")))).toEqual([own]);
  });

  test("a service outside the mesh has its rules at the gateway too", () => {
    const theirs = { ...told("taxes", route("taxes", { timeoutMs: 2_000 })), callee: null };
    expect(routesOf(made([route("taxes")], [registered("taxes")], theirs))).toMatchObject([
      { timeoutMs: 2_000 },
    ]);
  });

  test("the share of a service whose rules this node refuses is answered so, and no other", () => {
    const refused = new Map([["payments", "there is no stamp"]]);
    const services = [registered("payments"), registered("orders")];
    const mesh = [told("payments"), told("orders", route("orders"))];
    const routes = [route("all", { action: sharing({ payments: 1, orders: 1 }) }), route("payments")];
    const [shared, alone] = routesOf(madeWith(refused, { routes, services, mesh }));
    const answer = {
      action: { kind: "respond", status: 503, body: expect.stringContaining("there is no stamp") },
    };
    expect(within(shared!).payments).toMatchObject([answer]);
    expect(within(shared!).orders).toMatchObject([{ action: sharing({ orders: 1 }) }]);
    expect(within(alone!).payments).toMatchObject([{ name: "payments", ...answer }]);
  });

  test("a document's answer is given behind the route's own filters", () => {
    const action = { kind: "redirect", scheme: null, host: null, path: "/new/*", status: 302 } as const;
    const own = route("payments", { match: { ...any, path: "/api/*" }, filters: [filterEntry("jwt")] });
    const [only] = routesOf(
      made([own], [registered("payments")], told("payments", route("payments", { action }))),
    );
    expect(only!.filters).toEqual(own.filters);
    expect(within(only!).payments).toMatchObject([{ name: "payments", match: any, filters: [], action }]);
  });

  test("the file's rewrite goes before the document's, each with the match whose star it means", () => {
    const api = { ...any, path: "/api/*" };
    const old = { ...any, path: "/old/*" };
    const theirs = told(
      "payments",
      route("payments", {
        name: "old",
        match: old,
        action: sharing({ payments: 1 }, { path: "/new/*", host: "b" }),
      }),
      route("payments"),
    );
    const rewrites = (rewrite: Rewrite) => {
      const own = route("payments", { match: api, action: sharing({ payments: 1 }, rewrite) });
      const [only] = routesOf(made([own], [registered("payments")], theirs));
      return within(only!).payments?.map(({ action }) => action.kind === "forward" && action.rewrite);
    };
    expect(rewrites({ path: "/*", host: null })).toEqual([
      { path: "/*", host: "b", match: api },
      { path: "/*", host: null, match: api },
    ]);
    expect(rewrites({ path: null, host: "a" })).toEqual([
      { path: "/new/*", host: "a", match: old },
      { path: null, host: "a" },
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
