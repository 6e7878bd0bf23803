import { expect, test } from "bun:test";
import { parse, stringify } from "yaml";
import { loadConfig } from "../../../src/config/load.ts";
import { filters } from "../../../src/filters/index.ts";
import { findFilters } from "../../found-filters.ts";
import { filesOf, host } from "../fixture.ts";
import { documentOf, loadDocument, serviceIn } from "./loading.ts";

const store = `
  gateway: {}
  storefront:
    allow: [{ from: gateway }]
    mtls: permissive
    inbound: [request-id, ext-authz: { service: accounts }]
    healthCheck: { path: /healthz, interval: 1s }
  accounts:
    audit: [{ from: "*", path: /old/* }]
    loadBalancing: round-robin
  payments:
    allow: [{ from: storefront, method: POST, path: /charge }]
    timeout: 2s
    retry: { attempts: 3 }
    outbound: [request-id, hedge: { after: 50ms }]
  products:
    allow: [{ from: "*" }]
    split: { v1: 90, v2: 10 }
    mirror: { to: products-next, percent: 10 }
    fault: { abort: { status: 500, percent: 1 } }
    routes:
      - match: { headers: { x-beta: "1" } }
        split: { v2: 1 }
        mirror: { to: accounts }
      - { match: { path: /old/* }, to: accounts, rewrite: { path: /new/* }, timeout: 1s }
      - { match: { path: /admin }, filters: [request-id], respond: { status: 404 } }
  products-next: {}
  taxes: { endpoints: [taxes.example:443], tls: {}, healthCheck: {} }
`;

test("a service of the mesh has its policy first, then its filters, and its app's health check", async () => {
  const { callee } = serviceIn(await documentOf(store), "storefront");
  expect(callee).toMatchObject({ mtls: "permissive", others: ["accounts"] });
  expect(callee!.inbound.map(({ name }) => name)).toEqual(["policy", "request-id", "ext-authz"]);
  expect(callee!.inbound[0]).toEqual({
    name: "policy",
    id: null,
    onError: "fail",
    options: { trustDomain: "store.example", default: "deny", allow: [{ from: "gateway" }], audit: [] },
    place: { file: "mesh.yaml", line: 7 },
  });
  expect(callee!.healthCheck).toMatchObject({ path: "/healthz", intervalMs: 1000 });
});

test("the policy's options are those of the filter that judges", async () => {
  const { config } = await documentOf(store);
  const policies = config.services.flatMap(({ callee }) => callee?.inbound[0] ?? []);
  expect(policies).toHaveLength(6);
  for (const { name, options } of policies) {
    expect(filters.get(name)!.options.safeParse(options)).toMatchObject({ success: true });
  }
});

test("without allow the document's default holds; with it nobody else is allowed", async () => {
  const policyOf = async (root: string, service: string) =>
    serviceIn(await documentOf(store, root), service).callee!.inbound[0]!.options;
  expect(await policyOf("", "gateway")).toMatchObject({ default: "deny", allow: [] });
  expect(await policyOf("defaults: { policy: allow }", "gateway")).toMatchObject({ default: "allow" });
  expect(await policyOf("defaults: { policy: allow }", "payments")).toMatchObject({ default: "deny" });
  const audited = await policyOf("", "accounts");
  expect(audited).toMatchObject({ default: "deny", audit: [{ from: "*", path: "/old/*" }] });
});

test("callers never check the health of a service of the mesh, and find it in the registry", async () => {
  const document = await documentOf(store);
  expect(serviceIn(document, "storefront").caller.service).toMatchObject({
    registry: "storefront",
    endpoints: [],
    dns: null,
    healthCheck: null,
  });
});

test("a service outside the mesh has no callee, and its own endpoints, TLS and health check", async () => {
  const { callee, caller } = serviceIn(await documentOf(store), "taxes");
  expect(callee).toBeNull();
  expect(caller.service).toMatchObject({
    registry: null,
    endpoints: [{ address: { host: "taxes.example", port: 443 } }],
    tls: { verification: "full" },
    healthCheck: { intervalMs: 5000 },
  });
});

test("a caller's filters run around the request, then around the call, and the retry last", async () => {
  const { caller } = serviceIn(await documentOf(store), "payments");
  const [route] = caller.routes;
  expect(caller.routes).toHaveLength(1);
  expect(route).toMatchObject({
    name: "payments",
    match: { host: null, path: null, methods: [], headers: [], query: [] },
    timeoutMs: 2000,
    action: { kind: "forward", to: [{ service: "payments", version: null, weight: 1 }] },
    place: { file: "mesh.yaml", line: 14 },
  });
  expect(route!.filters.map(({ name }) => name)).toEqual(["request-id", "hedge", "retry"]);
  expect(route!.filters[2]).toMatchObject({ options: { attempts: 3 }, place: { line: 17 } });
});

test("what a route does not say is the service's, and the last route takes what is left", async () => {
  const { caller } = serviceIn(await documentOf(store), "products");
  const [beta, old, admin, rest] = caller.routes;
  expect(caller.routes).toHaveLength(4);
  const names = (route: typeof beta) => route!.filters.map(({ name }) => name);
  expect(beta).toMatchObject({
    name: "products#2",
    timeoutMs: 15_000,
    action: { to: [{ service: "products", version: "v2", weight: 1 }] },
  });
  expect(names(beta)).toEqual(["fault", "mirror"]);
  expect(beta!.filters[1]).toMatchObject({ options: { to: "accounts" } });
  expect(old).toMatchObject({
    name: "products/old/*",
    timeoutMs: 1000,
    action: { to: [{ service: "accounts", version: null }], rewrite: { path: "/new/*" } },
  });
  expect(old!.filters[1]).toMatchObject({ name: "mirror", options: { to: "products-next" } });
  expect(admin).toMatchObject({ name: "products/admin", action: { kind: "respond", status: 404 } });
  expect(names(admin)).toEqual(["request-id", "fault", "mirror"]);
  expect(rest).toMatchObject({
    name: "products",
    match: { path: null, headers: [] },
    action: {
      to: [
        { service: "products", version: "v1", weight: 90 },
        { service: "products", version: "v2", weight: 10 },
      ],
    },
  });
  expect(caller.others.toSorted()).toEqual(["accounts", "products-next"]);
});

test("a route for everything is the last one: none is put behind it", async () => {
  const { caller } = serviceIn(await documentOf("  payments: { routes: [{ timeout: 1s }] }\n"), "payments");
  expect(caller.routes).toMatchObject([{ name: "payments", timeoutMs: 1000 }]);
});

test("what --resolved prints is the same document", async () => {
  const document = await documentOf(store, "defaults: { policy: allow, egress: deny }");
  const text = stringify(document.resolved);
  const { document: again, problems } = await loadDocument({ "mesh.yaml": text });
  expect(problems).toEqual([]);
  expect(again!.resolved).toEqual(parse(text));
  const plain = (config: object) =>
    JSON.parse(JSON.stringify(config, (key, value) => (key === "place" || key === "options" ? 0 : value)));
  expect(plain(again!.config)).toEqual(plain(document.config));
});

test("places and files are named from the document's folder, wherever it is applied from", async () => {
  const files = filesOf({
    "conf/mesh.yaml": "trustDomain: a.example\ninclude: [more/*.yaml]\n",
    "conf/more/accounts.yaml": "services: { accounts: { allow: [] } }\n",
  });
  const { document } = await loadConfig({
    ...host,
    ...{ file: "conf/mesh.yaml", files, findFilters, environment: {}, version: 1, wanted: "mesh" },
  });
  expect(document!.files.map(({ name }) => name)).toEqual(["mesh.yaml", "more/accounts.yaml"]);
  const place = { file: "more/accounts.yaml", line: 1 };
  expect(serviceIn(document!, "accounts")).toMatchObject({ place, callee: { inbound: [{ place }] } });
});

test("a document without trustDomain, where one is wanted, misses it", async () => {
  const { problems } = await loadDocument({ "mesh.yaml": "services: { accounts: {} }\n" });
  expect(problems).toMatchObject([{ path: "trustDomain", message: expect.stringContaining("cannot find") }]);
});

test("the keys that belong in a mesh document are those that its grammar has beside a node's", async () => {
  const [{ meshKeys, rootGrammar }, { meshRootGrammar, meshServiceGrammar }, { serviceGrammar }] =
    await Promise.all([
      import("../../../src/config/grammar.ts"),
      import("../../../src/config/mesh/grammar.ts"),
      import("../../../src/config/grammar/service.ts"),
    ]);
  const beside = (mesh: object, node: object) => Object.keys(mesh).filter((key) => !(key in node));
  expect<readonly string[]>(meshKeys.root.toSorted()).toEqual(
    beside(meshRootGrammar.shape, rootGrammar.shape).toSorted(),
  );
  expect<readonly string[]>(meshKeys.service.toSorted()).toEqual(
    beside(meshServiceGrammar.shape, serviceGrammar.shape).toSorted(),
  );
});
