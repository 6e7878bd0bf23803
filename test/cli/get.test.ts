import { beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listingNames } from "../../src/cli/listings.ts";
import { root } from "../program.ts";
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

test("get lists 200 services, and names as long as there may be, each in a row of its own", async () => {
  const names = Array.from(
    { length: 200 },
    (_, index) => `${"n".repeat(60)}${String(index).padStart(3, "0")}`,
  );
  mesh.write(names.map((name) => `  ${name}: {}\n`).join(""));
  await mesh.obey("apply -f mesh.yaml");
  mesh.answers.set("/v1/services", { services: [] });
  const [, ...rows] = await get("services");
  expect(rows.map((row) => row.split(/ +/)[0])).toEqual(names);
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

/** As a node draws it. */
const drawn = "0123456789abcdef0123456789abcdef";

function instance(id: string, service = "payments") {
  const at = { id, service, address: { host: "10.0.0.1", port: 4143 }, node: drawn };
  return { ...at, version: "v2", zone: null, weight: 1, state: "healthy" };
}

test("get instances says what there is, of all services or of one; wide has every column", async () => {
  mesh.answers.set("/v1/instances?service=payments", { instances: [instance(drawn)] });
  expect(cells(await get("instances payments"))).toEqual([
    ["SERVICE", "ADDRESS", "STATE", "VERSION", "ZONE"],
    ["payments", "10.0.0.1:4143", "healthy", "v2", "-"],
  ]);
  expect(cells(await get("instances payments -o wide"))).toEqual([
    ["SERVICE", "ADDRESS", "STATE", "VERSION", "ZONE", "WEIGHT", "NODE", "INSTANCE"],
    ["payments", "10.0.0.1:4143", "healthy", "v2", "-", "1", drawn, drawn],
  ]);
});

test("get has room for its rows in a terminal of 60 columns, where names are short", async () => {
  const at = {
    ...instance(drawn, "storefront"),
    address: { host: "10.0.0.12", port: 4143 },
    state: "unhealthy",
  };
  const held = { service: "storefront", node: drawn, instances: 1, leaseLeftMs: 8500, version: 7 };
  mesh.answers.set("/v1/instances", { instances: [{ ...at, zone: "eu-west-1a" }] });
  mesh.answers.set("/v1/nodes", { nodes: [{ ...held, uses: ["accounts", "payments", "products"] }] });
  await mesh.obey("apply -f mesh.yaml");
  for (const name of ["services storefront", "instances", "nodes", "versions"]) {
    for (const line of await get(name)) expect(line.length).toBeLessThanOrEqual(60);
  }
});

test("get instances is in the same order whenever they registered, whatever ids were drawn for its versions", async () => {
  const first = { ...instance("z"), version: "v1" };
  const listed = [instance("b"), instance("a"), first, instance("c", "accounts")];
  mesh.answers.set("/v1/instances", { instances: listed });
  const { instances } = JSON.parse((await mesh.obey("get instances -o json")).out);
  expect(instances.map(({ id }: { id: string }) => id)).toEqual(["c", "z", "a", "b"]);
});

test("get says that there is none yet and where one comes from, or that there is no such service", async () => {
  const registers = "a node registers its app when that answers";
  for (const path of ["/v1/instances", "/v1/instances?service=sealed", "/v1/instances?service=taxes"]) {
    mesh.answers.set(path, { instances: [] });
  }
  mesh.answers.set("/v1/instances?service=seald", { instances: [] });
  mesh.answers.set("/v1/identities", { identities: [] });
  expect(await get("instances")).toEqual([`there is no instance yet: ${registers}`]);
  expect(await get("nodes")).toEqual([
    "there is no node yet: a sidecar or a gateway is one when it has joined",
  ]);
  expect(await get("instances sealed")).toEqual(["there is no service named sealed"]);
  await mesh.obey("apply -f mesh.yaml");
  expect(await get("instances sealed")).toEqual([`sealed has no instance yet: ${registers}`]);
  expect(await get("identities sealed")).toEqual([
    "sealed has no identity yet: a node gets one when it joins",
  ]);
  expect(await get("instances taxes")).toEqual(["taxes is outside the mesh: no node stands beside it"]);
  expect(await get("instances seald")).toEqual(["there is no service named seald"]);
  expect(JSON.parse((await mesh.obey("get instances seald -o json")).out)).toEqual({ instances: [] });
});

test("get nodes says who listens, and since which document", async () => {
  const listens = {
    service: "payments",
    node: drawn,
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
    ["SERVICE", "NODE", "DOCUMENT", "INSTANCES", "LEASE", "LISTENS"],
    ["payments", "01234567…", "7", "1", "8s left", "yes"],
    ["gateway", "n2", "-", "0", "-", "no"],
  ]);
  expect(cells(await get("nodes -o wide"))).toEqual([
    ["SERVICE", "NODE", "DOCUMENT", "INSTANCES", "LEASE", "LISTENS", "USES"],
    ["payments", drawn, "7", "1", "8s left", "yes", "taxes"],
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
  const kinds = "services, instances, nodes, identities, versions or policy, as in clearway get services";
  expect(await mesh.obey("get servces")).toEqual({
    code: 1,
    out: "",
    error: `clearway: cannot list "servces": wanted ${kinds}\n`,
  });
  expect((await mesh.obey("get")).error).toBe(`clearway: nothing is named to be listed: wanted ${kinds}\n`);
  expect((await mesh.obey("get nodes --expiring 6h")).error).toBe(
    "clearway: --expiring is for identities: clearway get identities --expiring 6h\n",
  );
  expect((await mesh.obey("get identities --expiring soon")).error).toContain(
    'cannot read "soon" after --expiring: wanted a duration',
  );
  expect(await get("versions")).toEqual(["no mesh document was applied yet"]);
});

describe("get -o json", () => {
  const page = readFileSync(join(root, "docs/operations.md"), "utf8");
  const fieldsIn = (verb: string): string[] => {
    const [, row = ""] = new RegExp(`^\\| \`${verb}\` \\|[^|]*\\|(.*)\\|$`, "m").exec(page) ?? [];
    // What a field may say stands in brackets behind it.
    return [...row.replaceAll(/\([^)]*\)/g, "").matchAll(/`(\w+)`/g)].map(([, field = ""]) => field).sort();
  };

  const node = {
    service: "payments",
    node: "n1",
    instances: 1,
    leaseLeftMs: 8500,
    version: 1,
    uses: ["taxes"],
  };
  const listed: Record<string, unknown> = {
    "/v1/instances": { instances: [instance("a")] },
    "/v1/nodes": { nodes: [node] },
  };

  for (const name of listingNames) {
    test(`get ${name} has the fields that docs/operations.md says, and no other`, async () => {
      for (const [path, answer] of Object.entries(listed)) mesh.answers.set(path, answer);
      mesh.answers.set("/v1/identities", { identities: [identity("n1", -1)] });
      await mesh.obey("apply -f mesh.yaml");
      const said = JSON.parse((await mesh.obey(`get ${name} -o json`)).out) as Record<string, object[]>;
      expect(Object.keys(said)).toEqual([name]);
      expect(said[name]!.length).toBeGreaterThan(0);
      for (const one of said[name]!) expect(Object.keys(one).sort()).toEqual(fieldsIn(`get ${name}`));
    });
  }
});
