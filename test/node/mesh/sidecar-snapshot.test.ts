import { describe, expect, test } from "bun:test";
import type { MeshService } from "../../../src/mesh.ts";
import type { MeshKnowledge } from "../../../src/node/mesh/mesh-view.ts";
import type { OwnCredentials } from "../../../src/node/mesh/node-state.ts";
import {
  type SidecarFacts,
  type SidecarRole,
  sidecarSnapshot,
  subscribed,
} from "../../../src/node/mesh/sidecar-snapshot.ts";
import { filterEntry, meshService, route, serviceConfig } from "./nouns.ts";

const credentials: OwnCredentials = {
  key: "key",
  certificate: "certificate",
  roots: "first roots",
  trustDomain: "store.example",
  identity: "spiffe://store.example/storefront",
  startsEpochMs: 1,
  expiresEpochMs: 9,
  obtainedEpochMs: 1,
};
const role: SidecarRole = {
  service: "storefront",
  app: { host: "127.0.0.1", port: 8080 },
  inbound: { host: "0.0.0.0", port: 4143 },
  outbound: { host: "127.0.0.1", port: 4140 },
  admin: { host: "127.0.0.1", port: 0 },
  zone: "b",
  drainMs: 30_000,
  log: { level: "info", format: "json" },
  upstreams: [{ service: "payments", bind: { host: "127.0.0.1", port: 9101 } }],
};

function knowing(...services: MeshService[]): MeshKnowledge {
  return {
    version: 1,
    mesh: {
      trustDomain: "store.example",
      egress: "deny",
      removed: ["spiffe://store.example/old"],
      roots: "new roots",
    },
    services: Object.fromEntries(
      services.map((service) => [
        service.name,
        { rules: { tag: "1", service, plugins: [] }, instances: { tag: "1", list: [] } },
      ]),
    ),
  };
}

/** The coordinator was asked for it, and has none. */
function lacking(service: string, knowledge: MeshKnowledge): MeshKnowledge {
  const known = { rules: { tag: "1", service: null, plugins: [] }, instances: { tag: "1", list: [] } };
  return { ...knowledge, services: { ...knowledge.services, [service]: known } };
}

function made(changed: Partial<SidecarFacts> = {}) {
  const knowledge = knowing(meshService("storefront"), meshService("payments"));
  return sidecarSnapshot({
    version: 3,
    refused: new Map(),
    role,
    credentials,
    knowledge,
    wanted: [],
    app: "answers",
    ...changed,
  });
}

const listener = (snapshot: ReturnType<typeof made>, name: string) =>
  snapshot.listeners.find((one) => one.name === name)!;
const service = (snapshot: ReturnType<typeof made>, name: string) =>
  snapshot.services.find((one) => one.name === name);

describe("sidecarSnapshot", () => {
  test("is plain data, says who the node is, and whose certificates are refused", () => {
    const snapshot = made();
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
    expect(snapshot.mesh).toEqual({
      trustDomain: "store.example",
      identity: "spiffe://store.example/storefront",
      removed: ["spiffe://store.example/old"],
    });
    expect([snapshot.version, snapshot.zone, snapshot.drainMs]).toEqual([3, "b", 30_000]);
  });

  test("inbound takes services of the mesh alone, in front of the app, with the document's filters", () => {
    const policy = filterEntry("policy", { allow: [] });
    const own = meshService("storefront", {
      callee: { mtls: "strict", inbound: [policy], others: [], healthCheck: null },
    });
    const snapshot = made({ knowledge: knowing(own) });
    const inbound = listener(snapshot, "inbound");
    expect(inbound).toMatchObject({ protocol: "https", callers: "mesh", bind: role.inbound });
    expect(inbound.tls[0]).toMatchObject({
      certificate: "certificate",
      key: "key",
      clientCa: "new roots",
      clientAuth: "required",
      names: ["storefront.mesh"],
    });
    expect(inbound.routes.map(({ filters }) => filters)).toEqual([[policy]]);
    expect(inbound.routes[0]!.action).toMatchObject({ to: [{ service: "storefront:app", weight: 1 }] });
    expect(service(snapshot, "storefront:app")).toMatchObject({
      endpoints: [{ address: role.app }],
      tls: null,
      healthCheck: { path: null },
    });
  });

  test("permissive takes callers without TLS too; an app that has not answered yet is not checked", () => {
    const check = { path: "/healthz", host: null, intervalMs: 1, timeoutMs: 1, healthy: 1, unhealthy: 1 };
    const own = meshService("storefront", {
      callee: { mtls: "permissive", inbound: [], others: [], healthCheck: check },
    });
    const snapshot = made({ knowledge: knowing(own) });
    expect(listener(snapshot, "inbound")).toMatchObject({
      callers: "mesh-or-plain",
      tls: [{ clientAuth: "optional" }],
    });
    expect(service(snapshot, "storefront:app")?.healthCheck).toEqual(check);
    const awaited = made({ knowledge: knowing(own), app: "awaited" });
    expect(service(awaited, "storefront:app")?.healthCheck).toBeNull();
  });

  test("lets nobody in while it does not know who may, and says so", () => {
    const outside = knowing(meshService("storefront", { callee: null }));
    const texts = [null, knowing(), lacking("storefront", knowing()), outside].map((knowledge) => {
      const [only, ...more] = listener(made({ knowledge }), "inbound").routes;
      expect(more).toEqual([]);
      expect(only!.action).toMatchObject({ kind: "respond", status: 503 });
      return (only!.action as { body: string }).body;
    });
    expect(texts[0]).toContain("has not heard from its coordinator");
    expect(texts[1]).toContain("has not heard of storefront");
    expect(texts[2]).toContain("the mesh document has no service storefront");
    expect(texts[3]).toContain("outside the mesh");
  });

  test("a called service is found in the registry, over mTLS, and has to be the one that is meant", () => {
    const snapshot = made();
    expect(service(snapshot, "payments")).toMatchObject({
      endpoints: [],
      registry: "payments",
      tls: {
        ca: "new roots",
        serverName: "payments.mesh",
        verification: "full",
        identity: "spiffe://store.example/payments",
        certificate: { certificate: "certificate", key: "key" },
      },
    });
  });

  test("a service outside the mesh stays as the document says", () => {
    const outside = serviceConfig("bank", { dns: null, endpoints: [] });
    const bank = meshService("bank", {
      callee: null,
      caller: { routes: [route("bank")], service: outside, others: [] },
    });
    const knowledge = knowing(meshService("storefront"), bank);
    expect(service(made({ knowledge, wanted: ["bank"] }), "bank")).toEqual(outside);
  });

  test("an upstream's port serves its routes; outbound serves the same under its host", () => {
    const routes = [
      route("payments", { name: "beta", match: { ...route("payments").match, path: "/beta/*" } }),
      route("payments", { name: "rest" }),
    ];
    const payments = meshService("payments", {
      caller: { routes, service: serviceConfig("payments"), others: [] },
    });
    const snapshot = made({
      knowledge: knowing(meshService("storefront"), payments, meshService("products")),
      wanted: ["products"],
    });
    expect(listener(snapshot, "upstream-payments")).toMatchObject({
      protocol: "http",
      bind: { host: "127.0.0.1", port: 9101 },
      routes,
    });
    const outbound = listener(snapshot, "outbound");
    expect(outbound.proxy).toEqual({ egress: "deny" });
    expect(outbound.routes.map(({ name, match }) => [name, match.host, match.path])).toEqual([
      ["payments/beta", "payments.mesh", "/beta/*"],
      ["payments/rest", "payments.mesh", null],
      ["products/products", "products.mesh", null],
    ]);
  });

  test("an upstream that the mesh document does not have answers what is wrong", () => {
    const snapshot = made({ knowledge: lacking("payments", knowing(meshService("storefront"))) });
    const [only] = listener(snapshot, "upstream-payments").routes;
    expect(only!.action).toMatchObject({
      status: 502,
      headers: [["x-clearway-reason", "no-such-service"]],
      body: expect.stringContaining("no-such-service: the mesh document has no service payments"),
    });
    expect(listener(snapshot, "outbound").routes.map(({ name }) => name)).toEqual(["payments/unavailable"]);
    expect(service(snapshot, "payments")).toBeUndefined();
  });
});

test("a service that the node has not heard of is not said to be missing, and neither is one that it refuses", () => {
  const knowledge = knowing(meshService("storefront"));
  const unheard = made({ knowledge });
  const why = "it needs code";
  const refused = made({ knowledge: lacking("payments", knowledge), refused: new Map([["payments", why]]) });
  const answers = [unheard, refused].map(
    (snapshot) => listener(snapshot, "upstream-payments").routes[0]!.action,
  );
  expect(answers).toMatchObject([
    { status: 503, body: "service-unknown: this node has not heard of payments from its coordinator yet\n" },
    { status: 503, body: expect.stringMatching(/^service-unknown: .* of payments: it needs code\n$/) },
  ]);
});

describe("subscribed", () => {
  test("names what is called, what is asked for, and what their filters send to, once and without end", () => {
    const mirrored = (name: string, others: string[]) =>
      meshService(name, { caller: { ...meshService(name).caller, others } });
    const own = meshService("storefront", {
      callee: { mtls: "strict", inbound: [], others: ["audit"], healthCheck: null },
    });
    const knowledge = knowing(own, mirrored("payments", ["shadow"]), mirrored("shadow", ["payments"]));
    expect(subscribed({ role, wanted: ["products"], knowledge })).toEqual({
      own: "storefront",
      called: ["payments", "products", "audit", "shadow"],
    });
  });
});
