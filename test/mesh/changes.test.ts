/** A change of the mesh document as those notice it who call: within a second, on what is under way too. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { systemClock } from "../../src/host/clock/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { until } from "../program.ts";
import { statusOf } from "../runtime/messages.ts";
import { RawClient } from "../runtime/raw-client.ts";
import { closeAll } from "../runtime/setting.ts";
import { asked, TlsCaller } from "../runtime/tls/tls-caller.ts";
import { call, credentialsOf, type Member, median, StartedMesh, timed } from "./started-mesh.ts";

let mesh: StartedMesh;
let storefront: Member;
let accounts: Member;
let payments: Member;

interface Words {
  readonly allow?: string;
  readonly more?: string;
  readonly without?: "accounts";
}

function services({ allow = "[{ from: [storefront, accounts] }]", more = "", without }: Words = {}): string {
  return `  storefront: {}
${without === "accounts" ? "" : "  accounts: { allow: [{ from: storefront }] }\n"}  payments:
    allow: ${allow}
    ${more}
`;
}

const storefrontOnly = "[{ from: storefront }]";
const statusFor = async ({ sidecar }: Member) => (await call(sidecar, "payments", "/charge")).status;

beforeAll(async () => {
  mesh = await StartedMesh.start(services());
  [storefront, accounts, payments] = await Promise.all([
    mesh.begin("storefront"),
    mesh.begin("accounts"),
    mesh.begin("payments"),
  ]);
  await mesh.well();
  for (const member of [storefront, accounts])
    await until(
      () => statusFor(member),
      (code) => code === 200,
    );
});

afterAll(async () => {
  await closeAll();
  await mesh?.stop();
});

const under = (members: readonly number[]) => expect(median(members)).toBeLessThan(1000);

test("an apply is live at the callee and at its callers within a second", async () => {
  const took: Record<"denied" | "stamped", number[]> = { denied: [], stamped: [] };
  const stamp = "outbound: [headers: { response: { set: { x-stamp: new } } }]";
  for (let time = 0; time < 3; time++) {
    const denied = mesh.put(services({ allow: storefrontOnly }));
    took.denied.push(await timed(async () => (await statusFor(accounts)) === 403));
    await denied;
    await mesh.put(services());
    await until(
      () => statusFor(accounts),
      (code) => code === 200,
    );
    const stamped = mesh.put(services({ more: stamp }));
    const seen = async () => (await call(storefront.sidecar, "payments")).headers.get("x-stamp") === "new";
    took.stamped.push(await timed(seen));
    await stamped;
    await mesh.put(services());
    await until(seen, (there) => !there);
  }
  under(took.denied);
  under(took.stamped);
});

test("apply by the command says that it is live, and names in the log why a caller is refused", async () => {
  const { code, output } = await mesh.apply(services({ allow: storefrontOnly }));
  expect([code, output]).toEqual([0, expect.stringContaining("live on all 3 connected nodes\n")]);
  const denied = await call(accounts.sidecar, "payments", "/charge");
  expect(denied).toMatchObject({ status: 403, reason: "policy-denied" });
  await until(payments.sidecar.running.output, (text) => text.includes("no rule"));
  expect((await mesh.obey("rollback", "1")).code).toBe(0);
  expect(await statusFor(accounts)).toBe(200);
}, 60_000);

/** Something of accounts that lasts: an open WebSocket, a streaming answer. */
async function lasting(member: Member, what: "websocket" | "stream"): Promise<RawClient> {
  const client = await RawClient.open(member.sidecar.outbound);
  const upgrade = what === "websocket" ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : "";
  client.send(`GET /${what} HTTP/1.1\r\nHost: payments.mesh\r\n${upgrade}\r\n`);
  if (what === "stream")
    await client.until("a chunk", () => (client.received.includes("begun") ? true : null));
  else {
    expect(statusOf(await client.answer())).toBe(101);
    client.send("hello");
    expect(await client.take(5)).toBe("hello");
  }
  return client;
}

test("an apply ends the WebSocket and the streaming answer that it forbids within a second, and no others", async () => {
  const took: number[] = [];
  for (const what of ["websocket", "stream"] as const) {
    const [ended, going] = [await lasting(accounts, what), await lasting(storefront, what)];
    const applied = mesh.put(services({ allow: storefrontOnly }));
    const startedAtMs = performance.now();
    await ended.ended();
    took.push(performance.now() - startedAtMs);
    await applied;
    expect(going.peer).toBe("open");
    if (what === "websocket") {
      going.send("again");
      expect(await going.take(5)).toBe("again");
    }
    going.close();
    await mesh.put(services());
    await until(
      () => statusFor(accounts),
      (code) => code === 200,
    );
  }
  expect(Math.min(...took)).toBeLessThan(1000);
  await until(payments.sidecar.running.output, (text) =>
    text.includes("ended what was under way: the filter policy does not allow it any more"),
  );
  const figures = async () => (await fetch(`http://127.0.0.1:${payments.sidecar.admin}/metrics`)).text();
  await until(figures, (text) => text.includes('reason="policy-changed"'));
}, 60_000);

test("a removed service is refused everywhere within a second, its certificate as valid as ever", async () => {
  const own = credentialsOf(accounts.sidecar);
  expect(own.expiresEpochMs).toBeGreaterThan(Date.now() + 3_600_000);
  const shown = { cert: own.certificate, key: own.key };
  const request = "GET /charge HTTP/1.1\r\nHost: payments.mesh\r\n\r\n";
  const [kept, chat] = [
    await TlsCaller.open(payments.sidecar.inbound, shown),
    await lasting(accounts, "websocket"),
  ];
  expect(statusOf(await kept.exchange(request))).toBe(200);
  const client = new CoordinatorClient({ clock: systemClock, fetch: secureFetch }, [mesh.url]);
  const lease = () => client.lease({ node: "n", instances: [] }, own);
  await lease();
  const spareToken = await mesh.token("accounts");
  const called = async () => (await call(storefront.sidecar, "accounts")).status;
  expect(await called()).toBe(200);

  const applied = mesh.put(services({ allow: "[{ from: '*' }]", without: "accounts" }));
  const startedAtMs = performance.now();
  const tookMs = () => performance.now() - startedAtMs;
  const took = await Promise.all([
    until(
      async () => statusOf(await kept.exchange(request)),
      (code) => code === 403,
    ).then(tookMs),
    chat.ended().then(tookMs),
    until(
      () => statusFor(accounts),
      (code) => code !== 200,
    ).then(tookMs),
    until(
      () => asked(payments.sidecar.inbound, shown),
      (code) => code === null,
    ).then(tookMs),
    until(called, (code) => code >= 500).then(tookMs),
    until(
      () => lease().then(() => "", String),
      (text) => text.includes("removed"),
    ).then(tookMs),
  ]);
  await applied;
  expect(Math.max(...took)).toBeLessThan(1000);
  for (let time = 0; time < 20; time++) expect(await asked(payments.sidecar.inbound, shown)).toBeNull();
  // Nobody becomes it again with a token of before, either.
  const late = await mesh.begin("accounts", { token: spareToken });
  expect(await late.sidecar.running.ended).toBe(1);
  expect(late.sidecar.running.output()).toContain("accounts");
  expect(await statusFor(storefront)).toBe(200);
}, 60_000);
