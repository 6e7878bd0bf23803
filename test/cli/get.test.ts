import { beforeEach, expect, test } from "bun:test";
import { Operating } from "./operating.ts";

let mesh: Operating;
beforeEach(() => {
  mesh = new Operating();
  mesh.write(
    [
      '  storefront: { allow: [{ from: gateway }], audit: [{ from: "*", path: /old }] }',
      "  gateway: { mtls: permissive }",
      "  payments: { allow: [{ from: [storefront, gateway], method: [GET, POST], path: /charge }] }",
      "  sealed: { allow: [] }",
      '  taxes: { endpoints: ["10.0.0.1:80"] }\n',
    ].join("\n"),
  );
  const counts = [
    { service: "payments", instances: 3, healthy: 2, draining: 1 },
    { service: "stray", instances: 1, healthy: 1, draining: 0 },
  ];
  mesh.answers.set("/v1/services", { services: counts });
});

async function get(line: string): Promise<string[]> {
  const { out, error } = await mesh.obey(`get ${line}`);
  expect(error).toBe("");
  return out.trimEnd().split("\n");
}

const cells = (lines: readonly string[]) => lines.map((line) => line.split(/ {2,}/));

test("get services lists those of the document, and those that only have instances", async () => {
  await mesh.obey("apply -f mesh.yaml");
  expect(cells(await get("services"))).toEqual([
    ["SERVICE", "WHERE", "MTLS", "INSTANCES", "HEALTHY", "DRAINING"],
    ["storefront", "mesh", "strict", "0", "0", "0"],
    ["gateway", "mesh", "permissive", "0", "0", "0"],
    ["payments", "mesh", "strict", "3", "2", "1"],
    ["sealed", "mesh", "strict", "0", "0", "0"],
    ["taxes", "outside", "-", "0", "0", "0"],
    ["stray", "not in the document", "-", "1", "1", "0"],
  ]);
  expect(cells(await get("services payments"))).toHaveLength(2);
  expect(await get("services nobody")).toEqual(["there is no service named nobody"]);
});

test("get policy lists who may call whom, one rule a row", async () => {
  expect(await get("policy")).toEqual(["there is no service of the mesh yet"]);
  await mesh.obey("apply -f mesh.yaml");
  expect(cells(await get("policy"))).toEqual([
    ["SERVICE", "RULE", "FROM", "METHOD", "PATH"],
    ["storefront", "allow", "gateway", "any", "any"],
    ["storefront", "audit", "*", "any", "/old"],
    ["gateway", "default", "nobody", "any", "any"],
    ["payments", "allow", "[storefront, gateway]", "[GET, POST]", "/charge"],
    ["sealed", "allow", "nobody", "any", "any"],
  ]);
  mesh.text = mesh.text.replace("services:", "defaults: { policy: allow }\nservices:");
  await mesh.obey("apply -f mesh.yaml");
  expect(cells(await get("policy gateway"))[1]).toEqual(["gateway", "default", "anybody", "any", "any"]);
  expect(JSON.parse((await mesh.obey("get policy payments -o json")).out)).toEqual({
    policy: [
      {
        service: "payments",
        rule: "allow",
        from: ["storefront", "gateway"],
        method: ["GET", "POST"],
        path: "/charge",
      },
    ],
  });
});

test("get instances and nodes say what there is, of all services or of one", async () => {
  const one = { id: "i1", service: "payments", address: { host: "10.0.0.1", port: 4143 }, node: "n1" };
  const instance = { ...one, version: "v2", zone: null, weight: 1, state: "healthy" };
  mesh.answers.set("/v1/instances?service=payments", { instances: [instance] });
  mesh.answers.set("/v1/instances", { instances: [] });
  expect(cells(await get("instances payments"))[1]).toEqual([
    "payments",
    "i1",
    "10.0.0.1:4143",
    "healthy",
    "v2",
    "-",
    "1",
    "n1",
  ]);
  expect(await get("instances")).toEqual(["there is no instance yet"]);
  const listens = {
    service: "payments",
    node: "n1",
    instances: 1,
    leaseLeftMs: 8500,
    version: 7,
    uses: ["taxes"],
  };
  const silent = {
    service: "gateway",
    node: "n2",
    instances: 0,
    leaseLeftMs: null,
    version: null,
    uses: null,
  };
  mesh.answers.set("/v1/nodes", { nodes: [listens, silent] });
  expect(cells(await get("nodes"))).toEqual([
    ["SERVICE", "NODE", "DOCUMENT", "INSTANCES", "LEASE", "LISTENS", "USES"],
    ["payments", "n1", "7", "1", "8s left", "yes", "taxes"],
    ["gateway", "n2", "-", "0", "-", "no", "-"],
  ]);
  expect(await get("nodes gateway")).toHaveLength(2);
});

const hourMs = 3_600_000;

function identity(node: string | null, startsHours: number, more: object = {}) {
  const now = mesh.clock.epochMs();
  return {
    identity: "spiffe://store.example/payments",
    serial: `${node}-${startsHours}`,
    node,
    startsEpochMs: now + startsHours * hourMs,
    expiresEpochMs: now + (startsHours + 24) * hourMs,
    removed: false,
    ...more,
  };
}

test("get identities --expiring lists those in use that end so soon, and exits 1 when there is one", async () => {
  mesh.answers.set("/v1/nodes", {
    nodes: [
      { service: "payments", node: "n1" },
      { service: "payments", node: "n2" },
    ],
  });
  const healthy = [
    identity("n1", -20),
    identity("n1", -8),
    identity("n2", -1),
    identity("gone", -21),
    identity("n3", -22, { removed: true }),
  ];
  mesh.answers.set("/v1/identities", { identities: healthy });
  expect(cells(await get("identities")).map((row) => [row[1], row[2], row.at(-1)])).toEqual([
    ["NODE", "EXPIRES IN", "STATE"],
    ["n1", "4h 0m", "replaced"],
    ["n1", "16h 0m", "in use"],
    ["n2", "23h 0m", "in use"],
    ["gone", "3h 0m", "node away"],
    ["n3", "2h 0m", "removed"],
  ]);
  expect(await mesh.obey("get identities --expiring 6h")).toMatchObject({
    code: 0,
    out: "no identity in use ends within 6h 0m\n",
  });
  mesh.answers.set("/v1/identities", {
    identities: [...healthy, identity("n2", -19, { serial: "stuck" })].filter(
      ({ serial }) => serial !== "n2--1",
    ),
  });
  const near = await mesh.obey("get identities --expiring 6h");
  expect(near.code).toBe(1);
  expect(near.out).toMatch(/payments +n2 +5h 0m/);
  const asJson = await mesh.obey("get identities payments --expiring 6h -o json");
  expect([asJson.code, JSON.parse(asJson.out).identities.length]).toEqual([1, 1]);
});

test("get says what it cannot list, and what it cannot read", async () => {
  expect((await mesh.obey("get servces")).error).toContain("servces");
  expect((await mesh.obey("get nodes --expiring 6h")).error).toBe(
    "clearway: --expiring is for identities: clearway get identities --expiring 6h\n",
  );
  expect((await mesh.obey("get identities --expiring soon")).error).toContain(
    'cannot read "soon" after --expiring: wanted a duration',
  );
  expect(await get("versions")).toEqual(["no mesh document was applied yet"]);
});
