import { beforeEach, describe, expect, test } from "bun:test";
import { requestCertificate } from "../../src/certificate-request.ts";
import { gatherMs } from "../../src/coordinator/registry/instance-keeper.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import type { Store } from "../../src/coordinator/store/store.ts";
import type { CoordinatorProblem, Credentials, FeedMessage, InstanceState } from "../../src/mesh.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { instance, meshService } from "./mesh-documents.ts";
import {
  KeptDocuments,
  type OpenedCoordinator,
  openCoordinator,
  trustDomain,
} from "./running-coordinator.ts";

let clock: VirtualClock;
let opened: OpenedCoordinator;
let operator: string;

beforeEach(async () => {
  clock = new VirtualClock();
  opened = await openCoordinator(clock);
  operator = await opened.tokens.createOperator("ops");
});

/** As the operator, or by the certificate of a service. */
function ask(
  path: string,
  as: string,
  body?: unknown,
  method = body === undefined ? "GET" : "POST",
): Promise<Response> {
  const request = new Request(`https://coordinator${path}`, {
    method,
    headers: as === "operator" ? { authorization: `Bearer ${operator}` } : {},
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const identity = as === "operator" ? null : `spiffe://${trustDomain}/${as}`;
  const env = {
    identity,
    remoteAddress: "127.0.0.1",
    listener: "coordinator",
    route: null,
    finished() {},
    abort() {},
  };
  return Promise.resolve(opened.coordinator.app.fetch(request, env));
}

async function reasonOf(asked: Promise<Response>): Promise<string> {
  return ((await (await asked).json()) as CoordinatorProblem).reason;
}

function apply(...names: string[]): Promise<Response> {
  const services = names.map((name) => meshService(name));
  const checked = { config: { services }, resolved: {} };
  return ask(
    "/v1/document",
    "operator",
    { files: [{ name: "mesh.yaml", text: "" }], checked, base: null },
    "PUT",
  );
}

function lease(service: string, ...ids: string[]): Promise<Response> {
  return ask("/v1/leases", service, { node: "n", instances: ids.map((id) => instance(id, service)) });
}

class Listener {
  constructor(readonly reader: ReadableStreamDefaultReader<Uint8Array>) {}

  static async open(service: string, ...services: string[]): Promise<Listener> {
    const response = await ask("/v1/feed", service, { node: "n", services, known: {} });
    return new Listener(response.body!.getReader());
  }

  /** Null when the feed has ended. */
  async next(): Promise<FeedMessage[] | null> {
    const { done, value } = await this.reader.read();
    if (done) return null;
    const lines = new TextDecoder().decode(value).trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line) as FeedMessage);
  }
}

test("a node joins with an operator's token, registers, and is known to who calls it", async () => {
  const made = (await (await ask("/v1/tokens", "operator", { service: "payments" })).json()) as {
    token: string;
  };
  const { request } = await requestCertificate();
  const joined = await ask("/v1/join", "nobody", { token: made.token, request });
  expect((await joined.json()) as Credentials).toMatchObject({
    identity: `spiffe://${trustDomain}/payments`,
  });
  const other = { token: made.token, request: (await requestCertificate()).request };
  expect(await reasonOf(ask("/v1/join", "nobody", other))).toBe("token-used-up");
  await apply("payments");
  const storefront = await Listener.open("storefront", "payments");
  expect((await storefront.next())?.map(({ kind }) => kind)).toEqual(["mesh", "rules", "instances", "live"]);
  await lease("payments", "p1");
  clock.advance(50);
  expect(await storefront.next()).toMatchObject([{ put: [{ id: "p1" }] }, { kind: "live", version: 1 }]);
  const { identities } = (await (await ask("/v1/identities", "operator")).json()) as {
    identities: unknown[];
  };
  expect(identities).toMatchObject([{ identity: `spiffe://${trustDomain}/payments`, removed: false }]);
});

describe("a service that a new version no longer has", () => {
  let storefront: Listener;
  let payments: Listener;

  beforeEach(async () => {
    await apply("storefront", "payments");
    await lease("payments", "p1");
    storefront = await Listener.open("storefront", "payments");
    payments = await Listener.open("payments", "payments");
    await storefront.next();
    await payments.next();
    await apply("storefront");
  });

  test("is refused by the API at once, its feeds end, and everybody is told in one piece", async () => {
    expect(await payments.next()).toBeNull();
    expect(await storefront.next()).toMatchObject([
      { kind: "mesh", removed: [`spiffe://${trustDomain}/payments`] },
      { kind: "rules", service: "payments", rules: null },
      { kind: "changed", put: [], gone: ["p1"] },
      { kind: "live", version: 2 },
    ]);
    expect(await reasonOf(lease("payments", "p1"))).toBe("identity-removed");
    expect(await reasonOf(ask("/v1/certificate", "payments", { request: "" }))).toBe("identity-removed");
    expect(await reasonOf(ask("/v1/feed", "payments", { node: "n", services: [], known: {} }))).toBe(
      "identity-removed",
    );
    const { instances } = (await (await ask("/v1/instances", "operator")).json()) as { instances: unknown[] };
    expect(instances).toEqual([]);
  });

  test("cannot be joined with a token that was made before", async () => {
    await apply("storefront", "payments");
    const made = (await (await ask("/v1/tokens", "operator", { service: "payments" })).json()) as {
      token: string;
    };
    await apply("storefront");
    const { request } = await requestCertificate();
    expect(await reasonOf(ask("/v1/join", "nobody", { token: made.token, request }))).toBe(
      "identity-removed",
    );
    expect(await reasonOf(ask("/v1/tokens", "operator", { service: "payments" }))).toBe("identity-removed");
  });

  test("stays refused after a restart, also when the store was not told", async () => {
    await opened.store.deleteRemovedService("payments");
    await opened.coordinator.close();
    opened = await openCoordinator(clock, opened.store);
    expect(await reasonOf(lease("payments", "p1"))).toBe("identity-removed");
    expect((await lease("storefront", "s1")).status).toBe(200);
  });

  test("has no instances after a restart, also when the store was not told that they are gone", async () => {
    await opened.coordinator.close();
    await opened.store.changeInstances({
      put: [{ node: "n", instance: instance("p1", "payments") }],
      removed: [],
    });
    opened = await openCoordinator(clock, opened.store);
    expect(await (await ask("/v1/instances", "operator")).json()).toEqual({ instances: [] });
  });

  test("is back with the version that has it again", async () => {
    await apply("storefront", "payments");
    expect(await storefront.next()).not.toBeNull();
    expect((await lease("payments", "p1")).status).toBe(200);
  });

  test("is forgotten by all when its last certificate has ended", async () => {
    clock.advance(24 * 3_600_000 - 60_000);
    const late = await Listener.open("storefront", "payments");
    expect(await late.next()).toMatchObject([{ removed: [`spiffe://${trustDomain}/payments`] }, {}, {}, {}]);
    clock.advance(59_000);
    await late.next();
    clock.advance(59_000);
    expect(await late.next()).toMatchObject([{ kind: "mesh", removed: [] }, { kind: "live" }]);
  });
});

test("a node that does not renew is logged and counted, one that leaves is not", async () => {
  await lease("payments", "p1");
  await lease("accounts", "a1");
  await ask("/v1/leases", "accounts", { node: "n", instances: [] });
  clock.advance(10_000);
  const ended = opened.recorders.logged.filter(({ message }) => message.includes("did not renew"));
  expect(ended).toMatchObject([{ level: "warn", fields: { service: "payments", node: "n", instances: 1 } }]);
  expect(await (await ask("/metrics", "nobody")).text()).toContain(
    "clearway_coordinator_leases_ended_total 1\n",
  );
});

describe("a coordinator that starts again", () => {
  test("has version, instances and operators' tokens, and callers notice nothing but that", async () => {
    await apply("payments");
    await lease("payments", "p1");
    await opened.coordinator.close();
    opened = await openCoordinator(clock, opened.store);
    expect(opened.coordinator.version).toBe(1);
    const storefront = await Listener.open("storefront", "payments");
    expect(await storefront.next()).toMatchObject([
      { kind: "mesh" },
      { rules: { name: "payments" } },
      { instances: [{ id: "p1" }] },
      { kind: "live", version: 1 },
    ]);
    clock.advance(10_050);
    expect((await storefront.next())?.find(({ kind }) => kind === "changed")).toMatchObject({ gone: ["p1"] });
  });

  test("starts with more instances of a node in its store than a node may have", async () => {
    const ids = Array.from({ length: 150 }, (_, at) => `p${at}`);
    const put = ids.map((id) => ({ node: "n", instance: instance(id, "payments") }));
    await opened.store.changeInstances({ put, removed: [] });
    opened = await openCoordinator(clock, opened.store);
    const { instances } = (await (await ask("/v1/instances", "operator")).json()) as { instances: unknown[] };
    expect(instances).toHaveLength(100);
    expect((await lease("payments", ...ids.slice(50))).status).toBe(200);
    await opened.coordinator.close();
    expect(await opened.store.listInstances()).toHaveLength(100);
    expect(opened.recorders.logged).toMatchObject([{ level: "warn", fields: { instances: 50, nodes: 1 } }]);
  });

  test("sends nobody to an instance that was unwell when it was killed, until its node says that it is well", async () => {
    await apply("payments");
    const renew = (state: InstanceState) => {
      const instances = [instance("p1", "payments", { state }), instance("p2", "payments")];
      return ask("/v1/leases", "payments", { node: "n", instances });
    };
    await renew("healthy");
    clock.advance(gatherMs);
    await renew("unhealthy");
    clock.advance(gatherMs);
    // Nobody closes the former one.
    opened = await openCoordinator(clock, opened.store);
    const storefront = await Listener.open("storefront", "payments");
    const told = (await storefront.next())?.find(({ kind }) => kind === "instances");
    expect(told).toMatchObject({
      instances: [
        { id: "p1", state: "unhealthy" },
        { id: "p2", state: "healthy" },
      ],
    });
    await renew("healthy");
    clock.advance(50);
    expect(await storefront.next()).toMatchObject([
      { kind: "changed", put: [{ id: "p1", state: "healthy" }], gone: [] },
      { kind: "live" },
    ]);
  });
});

test("a version that another coordinator applied is told too", async () => {
  const watchers: Parameters<Store["watch"]>[0][] = [];
  const store: Store = new MemoryStore();
  store.watch = (told) => {
    watchers.push(told);
    return () => undefined;
  };
  opened = await openCoordinator(clock, store);
  const storefront = await Listener.open("storefront", "payments");
  await storefront.next();
  await new KeptDocuments(store).keep(1, "ops", [meshService("payments")]);
  for (const told of watchers) told("versions");
  expect(await storefront.next()).toMatchObject([
    { rules: { name: "payments" } },
    { kind: "live", version: 1 },
  ]);
});

test("a closed coordinator leaves no timer and no feed", async () => {
  const storefront = await Listener.open("storefront", "payments");
  await storefront.next();
  await lease("payments", "p1");
  await opened.coordinator.close();
  expect(await storefront.next()).toBeNull();
  expect(clock.waiting).toBe(0);
});
