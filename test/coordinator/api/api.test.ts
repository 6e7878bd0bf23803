import { beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { apiOperations } from "../../../src/coordinator/api/api.ts";
import { bodyBytesMax, documentBytesMax } from "../../../src/coordinator/api/operation.ts";
import { hasStatus } from "../../../src/coordinator/api/statuses.ts";
import { feedLimits, gatherMs } from "../../../src/coordinator/feed/feed.ts";
import type { CoordinatorProblem, FeedMessage } from "../../../src/mesh.ts";
import { instance } from "../mesh-documents.ts";
import { FakeParts } from "./fake-parts.ts";

let fake: FakeParts;

beforeEach(() => {
  fake = new FakeParts();
});

const lease = (node: string, ...ids: string[]) => ({
  node,
  instances: ids.map((id) => instance(id, "payments")),
});
const listen = (...services: string[]) => ({ node: "n1", services, known: {} });

async function refusal(asked: Promise<{ status: number; response: Response }>): Promise<string> {
  const { status, response } = await asked;
  const { reason, message } = (await response.json()) as CoordinatorProblem;
  expect(message.length).toBeGreaterThan(10);
  expect(response.headers.get("x-clearway-reason")).toBe(reason);
  return `${status} ${reason}`;
}

describe("nodes", () => {
  test("join for a token, and are told why not", async () => {
    const { status, response } = await fake.ask("/v1/join", { body: { token: "right", request: "CSR" } });
    expect(status).toBe(200);
    expect(await response.json()).toMatchObject({ identity: "spiffe://store.example/payments" });
    const used = fake.ask("/v1/join", { body: { token: "used", request: "CSR" } });
    expect(await refusal(used)).toBe("403 token-used-up");
  });

  test("get their next certificate for what the last one proves, whatever they say", async () => {
    const { response } = await fake.ask("/v1/certificate", { as: "accounts", body: { request: "CSR" } });
    expect(await response.json()).toMatchObject({ identity: "spiffe://store.example/accounts" });
  });

  test("register, and are told how long that holds", async () => {
    const { response } = await fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1") });
    expect(await response.json()).toEqual({ leaseMs: 10_000, renewEveryMs: 3000 });
    expect(fake.registry.service("payments")?.size).toBe(1);
  });

  test("that drain are answered when those who use the service were told", async () => {
    const { response } = await fake.ask("/v1/feed", { as: "storefront", body: listen("payments") });
    const told = (response.body as ReadableStream<Uint8Array>).getReader();
    await told.read();
    const body = { node: "n1", instances: [{ ...instance("p1", "payments"), state: "draining" }] };
    const statuses: number[] = [];
    const asked = fake
      .ask("/v1/leases", { as: "payments", body })
      .then(({ status }) => statuses.push(status));
    // Until the request was read.
    while (fake.registry.size === 0) await new Promise((resolve) => setImmediate(resolve));
    fake.clock.advance(gatherMs);
    expect(Buffer.from((await told.read()).value ?? "").toString()).toContain('"state":"draining"');
    await new Promise((resolve) => setImmediate(resolve));
    expect(statuses).toEqual([]);
    void told.read();
    await asked;
    expect(statuses).toEqual([200]);
  });

  test("that claim another's service are refused, by what the certificate says", async () => {
    const claimed = fake.ask("/v1/leases", { as: "accounts", body: lease("n1", "p1") });
    expect(await refusal(claimed)).toBe("403 not-your-service");
    expect(fake.registry.size).toBe(0);
  });

  test("without a certificate, of another mesh or of a removed service get nothing", async () => {
    fake.removed.add("payments");
    for (const path of ["/v1/leases", "/v1/certificate", "/v1/feed"]) {
      const body =
        path === "/v1/leases" ? lease("n1") : path === "/v1/feed" ? listen("a") : { request: "CSR" };
      expect(await refusal(fake.ask(path, { body }))).toBe("401 certificate-needed");
      expect(await refusal(fake.ask(path, { as: "operator", body }))).toBe("401 certificate-needed");
      expect(await refusal(fake.ask(path, { as: "payments", body }))).toBe("403 identity-removed");
      for (const as of [
        "spiffe://other.example/accounts",
        "spiffe://store.example/a/b",
        "https://store.example/a",
      ]) {
        expect(await refusal(fake.ask(path, { as, body }))).toBe("403 foreign-identity");
      }
    }
  });

  test("are told by the feed, as lines, and are forgotten when they go", async () => {
    await fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1") });
    const { response } = await fake.ask("/v1/feed", { as: "storefront", body: listen("payments") });
    expect(response.headers.get("content-type")).toBe("application/jsonl");
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    const lines = new TextDecoder().decode(value).trimEnd().split("\n");
    const kinds = lines.map((line) => (JSON.parse(line) as FeedMessage).kind);
    expect(kinds).toEqual(["mesh", "rules", "instances", "live"]);
    expect(fake.feed.readings.subscribers).toBe(1);
    await reader.cancel();
    expect(fake.feed.readings.subscribers).toBe(0);
  });

  test("of one service under ever other names are told 409 and the limit, and others are still told the feed", async () => {
    for (let at = 0; at < feedLimits.perService; at++) {
      await fake.ask("/v1/feed", { as: "payments", body: { ...listen("payments"), node: `n${at}` } });
    }
    expect(fake.feed.readings.subscribers).toBe(feedLimits.perService);
    const body = { ...listen("payments"), node: "one-more" };
    const { status, response } = await fake.ask("/v1/feed", { as: "payments", body });
    expect([status, await response.json()]).toEqual([
      409,
      {
        reason: "too-many-subscriptions",
        message: '2001 nodes of "payments" that listen: there may be 2000',
      },
    ]);
    expect((await fake.ask("/v1/feed", { as: "storefront", body: listen("payments") })).status).toBe(200);
  });

  test("one that hammers is told 429, the others are served", async () => {
    const answers: number[] = [];
    for (let at = 0; at < 60; at++) {
      answers.push((await fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1") })).status);
    }
    expect(answers.filter((status) => status === 200)).toHaveLength(50);
    expect(await refusal(fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1") }))).toBe(
      "429 too-often",
    );
    expect((await fake.ask("/v1/leases", { as: "payments", body: lease("n2", "p2") })).status).toBe(200);
    fake.clock.advance(1000);
    expect((await fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1") })).status).toBe(200);
  });
});

describe("operators", () => {
  const targets = apiOperations(new FakeParts().parts).filter(({ who }) => who === "operator");

  test.each(targets.map(({ method, path }) => [method, path]))(
    "%s %s wants the operator's token",
    async (method, path) => {
      const body = method === "GET" ? undefined : {};
      for (const as of ["nobody", "payments"]) {
        expect(await refusal(fake.ask(path!, { as, method: method!, body }))).toBe("401 operator-needed");
      }
      const headers = { authorization: "Bearer wrong" };
      const wrong = new Request(`https://coordinator${path}`, { method: method!, headers });
      const env = {
        identity: null,
        remoteAddress: "::1",
        listener: "c",
        route: null,
        finished() {},
        abort() {},
      };
      expect((await fake.app.fetch(wrong, env)).status).toBe(401);
    },
  );

  test("make tokens, which no log has; the log has who did it", async () => {
    const { response } = await fake.ask("/v1/tokens", { as: "operator", body: { service: "payments" } });
    expect(await response.json()).toEqual({ token: "join-payments", expiresEpochMs: 3 });
    expect(fake.recorders.logged).toEqual([
      {
        level: "info",
        message: "an operator made a join token",
        fields: { by: "operator", service: "payments", ttlMs: 600_000, uses: 1 },
      },
    ]);
  });

  test("apply, or only try to", async () => {
    const body = { files: [{ name: "mesh.yaml", text: "" }], checked: null, base: 7 };
    const tried = await fake.ask("/v1/document?dry-run=yes", { as: "operator", method: "PUT", body });
    expect(await tried.response.json()).toEqual({ version: 8, difference: { changes: [] } });
    expect(fake.recorders.logged).toEqual([]);
    await fake.ask("/v1/document", { as: "operator", method: "PUT", body });
    expect(fake.applied.map(({ by, how }) => `${by} ${how}`)).toEqual(["operator try", "operator apply"]);
    expect(fake.recorders.logged).toHaveLength(1);
    const wrong = fake.ask("/v1/document?dry-run=perhaps", { as: "operator", method: "PUT", body });
    expect(await refusal(wrong)).toBe("400 query-invalid");
  });

  test("see instances, services, nodes and versions", async () => {
    const drained = { ...instance("p2", "payments"), state: "draining" };
    const body = { node: "n1", version: 7, instances: [instance("p1", "payments"), drained] };
    await fake.ask("/v1/leases", { as: "payments", body });
    await fake.ask("/v1/feed", { as: "storefront", body: listen("payments", "accounts") });
    const see = async (what: string) => (await fake.ask(`/v1/${what}`, { as: "operator" })).response.json();
    expect(await see("instances")).toMatchObject({ instances: [{ id: "p1", node: "n1" }, { id: "p2" }] });
    expect(await see("instances?service=accounts")).toEqual({ instances: [] });
    expect(await see("services")).toEqual({
      services: [{ service: "payments", instances: 2, healthy: 1, draining: 1 }],
    });
    expect(await see("nodes")).toEqual({
      nodes: [
        { service: "payments", node: "n1", instances: 2, leaseLeftMs: 10_000, version: 7, uses: null },
        {
          service: "storefront",
          node: "n1",
          instances: 0,
          leaseLeftMs: null,
          version: null,
          uses: ["accounts", "payments"],
        },
      ],
    });
    expect(await see("versions")).toMatchObject({ versions: [{ version: 1, by: "operator" }] });
    expect(await refusal(fake.ask("/v1/document?version=x", { as: "operator" }))).toBe("400 query-invalid");
  });

  test("are told why not, and of a fault no more than that there is one", async () => {
    const body = { version: 99, base: null };
    expect(await refusal(fake.ask("/v1/rollback", { as: "operator", body }))).toBe("404 no-such-version");
    const { status, response } = await fake.ask("/v1/document", { as: "operator" });
    expect(status).toBe(500);
    expect(await response.text()).not.toContain("fire");
    expect(fake.recorders.logged.at(-1)?.message).toContain("the store is on fire");
  });
});

describe("what is read", () => {
  test("a body that is no JSON, or not as wanted, is refused with the place", async () => {
    expect(await refusal(fake.ask("/v1/join", { body: "{" }))).toBe("400 body-invalid");
    const wrong = lease("n1", "p1");
    const body = { ...wrong, instances: [{ ...wrong.instances[0], weight: "1" }] };
    const { response } = await fake.ask("/v1/leases", { as: "payments", body });
    expect(await response.json()).toMatchObject({
      message: expect.stringContaining('"instances.0.weight"') as string,
    });
    // What an operator's terminal would obey, and what no document could name, is no version and no zone.
    const labels = [{ version: "\u001b[2J" }, { version: "v 1" }, { zone: "" }];
    const others = [{ id: "a b" }, { service: ".." }, { address: { unixPath: "/run/x" } }, { more: 1 }];
    for (const one of [...labels, ...others]) {
      const instances = [{ ...wrong.instances[0], ...one }];
      const asked = fake.ask("/v1/leases", { as: "payments", body: { node: "n1", instances } });
      expect(await refusal(asked)).toBe("400 body-invalid");
    }
  });

  test("a body may have its maximum and no byte more, whether it says its length or not", async () => {
    const padded = (bytes: number) => `${" ".repeat(bytes - 2)}{}`;
    expect(await refusal(fake.ask("/v1/join", { body: padded(bodyBytesMax) }))).toBe("400 body-invalid");
    expect(await refusal(fake.ask("/v1/join", { body: padded(bodyBytesMax + 1) }))).toBe(
      "413 body-too-large",
    );
    const put = (bytes: number) =>
      fake.ask("/v1/document", { as: "operator", method: "PUT", body: padded(bytes) });
    expect(await refusal(put(documentBytesMax))).toBe("400 body-invalid");
    expect(await refusal(put(documentBytesMax + 1))).toBe("413 body-too-large");
    const piece = new Uint8Array(bodyBytesMax / 2 + 1);
    let pulls = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulls += 1;
        controller.enqueue(piece);
      },
    });
    const request = new Request("https://coordinator/v1/join", { method: "POST", body: endless });
    const env = {
      identity: null,
      remoteAddress: "::1",
      listener: "c",
      route: null,
      finished() {},
      abort() {},
    };
    expect((await fake.app.fetch(request, env)).status).toBe(413);
    expect(pulls).toBeLessThan(5);
  });

  test("other paths and methods are problems too", async () => {
    expect(await refusal(fake.ask("/v1/nothing"))).toBe("404 no-such-path");
    const { status, response } = await fake.ask("/v1/document", { as: "operator", method: "POST", body: {} });
    expect([status, response.headers.get("allow")]).toEqual([405, "PUT, GET"]);
  });
});

describe("what it says of itself", () => {
  test("root, health and readiness are anybody's; a warning does not make it unready", async () => {
    expect(await (await fake.ask("/v1/root")).response.json()).toEqual({
      roots: "PEM",
      trustDomain: "store.example",
    });
    expect(await (await fake.ask("/v1/healthz")).response.text()).toBe("ok\n");
    fake.warnings.push("the store is full");
    const { status, response } = await fake.ask("/v1/readyz");
    expect([status, await response.text()]).toEqual([200, "ready\nwarning: the store is full\n"]);
  });

  test("metrics count joins, refusals by reason, and what there is", async () => {
    await fake.ask("/v1/join", { body: { token: "right", request: "CSR" } });
    await fake.ask("/v1/join", { body: { token: "used", request: "CSR" } });
    await fake.ask("/v1/leases", { as: "payments", body: lease("n1", "p1", "p2") });
    const text = await (await fake.ask("/metrics")).response.text();
    for (const line of [
      "clearway_coordinator_instances 2",
      "clearway_coordinator_nodes 1",
      "clearway_coordinator_joins_total 1",
      'clearway_coordinator_refusals_total{reason="token-used-up"} 1',
      "clearway_coordinator_document_version 7",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("refusals are logged, and not more than a few a second", async () => {
    for (let at = 0; at < 100; at++) await fake.ask("/v1/leases", { body: lease("n1") });
    expect(fake.recorders.logged.length).toBe(20);
    expect(fake.recorders.logged[0]).toMatchObject({
      level: "warn",
      fields: { reason: "certificate-needed" },
    });
  });

  test("openapi.json has every route, each with its security, its body and a problem", async () => {
    const described = (await (await fake.ask("/openapi.json")).response.json()) as {
      paths: Record<string, Record<string, { security: unknown; requestBody?: unknown; responses: object }>>;
    };
    const routes = fake.app.routes.filter(({ method, path }) => method !== "ALL" && path !== "/openapi.json");
    const listed = Object.entries(described.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(listed.sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
    for (const { method, path, who, body } of apiOperations(fake.parts)) {
      const one = described.paths[path]![method.toLowerCase()]!;
      expect(one.security).toEqual(who === "anyone" ? [] : [{ [who]: [] }]);
      expect(one.requestBody !== undefined).toBe(body !== null);
      if (path.startsWith("/v1/")) expect(Object.keys(one.responses)).toEqual(["200", "default"]);
    }
    const text = JSON.stringify(described);
    expect(text).toContain('"renewEveryMs"');
    expect(text).not.toContain("$schema");
  });

  test("every reason that the coordinator refuses with has a status", () => {
    const reasons = [...new Bun.Glob("src/coordinator/**/*.ts").scanSync()].flatMap((path) =>
      [...readFileSync(path, "utf8").matchAll(/new Refusal\(\s*"([^"]+)"/g)].map(([, reason]) => reason!),
    );
    expect(reasons.length).toBeGreaterThan(10);
    expect([...new Set(reasons)].filter((reason) => !hasStatus(reason))).toEqual([]);
  });
});
