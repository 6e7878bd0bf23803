/** Nodes as real processes whose join token does not help them: what each says, and how it ends. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import type { Clock } from "../../src/machine.ts";
import { documentOf } from "../config/mesh/loading.ts";
import { startWhole, type WholeCoordinator } from "../coordinator/whole-coordinator.ts";
import { startClearway } from "../program.ts";
import { type SidecarWish, startSidecar } from "./sidecars.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-join-tokens-"));
const ttlMs = 60_000;
/** By so much the coordinator's clock of the wall is ahead. */
let aheadMs = 0;
const clock: Clock = { ...systemClock, epochMs: () => systemClock.epochMs() + aheadMs };
let mesh: WholeCoordinator;
let other: WholeCoordinator;

beforeAll(async () => {
  const document = await documentOf("  payments: {}\n  accounts: {}\n");
  mesh = await startWhole({ path: join(folder, "mesh.sqlite"), document, clock });
  other = await startWhole({ path: join(folder, "other.sqlite"), document });
});

afterAll(async () => {
  await Promise.all([mesh, other].map(({ coordinator }) => coordinator.close()));
  rmSync(folder, { recursive: true });
});

async function tokenOf({ operator }: WholeCoordinator, service: string): Promise<string> {
  const { token } = await operator.post<{ token: string }>("/v1/tokens", { service, ttlMs, uses: 1 });
  return token;
}

async function joined(token: string): Promise<string> {
  const { request } = await requestCertificate();
  return (await mesh.node.join({ token, request })).identity;
}

/** Why a sidecar of payments did not join; it ended with 1, and said nothing else. */
async function refusal(wish: Partial<SidecarWish>): Promise<string> {
  const wanted = { service: "payments", app: 9, coordinator: mesh.url, ...wish };
  const { running, state } = await startSidecar(wanted);
  const code = await running.ended;
  const start = `clearway: payments cannot join the mesh (state folder: ${state}): `;
  expect({ code, output: running.output() }).toEqual({ code: 1, output: expect.stringContaining(start) });
  expect(running.output().trimEnd().split("\n")).toHaveLength(1);
  return running.output().trimEnd().slice(start.length);
}

const another = "make another one with `clearway token create --service payments`";

test("a sidecar whose join token was used up says so, how to get another, and exits 1", async () => {
  const token = await tokenOf(mesh, "payments");
  expect(await joined(token)).toBe("spiffe://store.example/payments");
  expect(await refusal({ more: ["--token", token] })).toBe(
    `the join token was used once, as often as it may be; ${another}`,
  );
});

test("a sidecar with a join token of another mesh says so, sends it to nobody, and exits 1", async () => {
  const token = await tokenOf(other, "payments");
  expect(await refusal({ more: ["--token", token] })).toBe(
    `${mesh.url} is not the coordinator that this token is for: its root certificate is another one; ${another}`,
  );
});

test("a sidecar with a join token of another service says so, exits 1, and leaves the token unused", async () => {
  const token = await tokenOf(mesh, "accounts");
  expect(await refusal({ more: ["--token", token] })).toBe(
    `the join token is for "accounts", not for payments; ${another}`,
  );
  expect(await joined(token)).toBe("spiffe://store.example/accounts");
});

test("a sidecar with the operator's token, or with half a token, says so and exits 1", async () => {
  expect(await refusal({ token: mesh.operatorToken })).toBe(
    `the token is for something else; wanted a join token; ${another}`,
  );
  const half = (await tokenOf(mesh, "payments")).slice(0, 40);
  expect(await refusal({ token: half })).toBe(
    `this is no join token; it may have been cut when it was copied; ${another}`,
  );
});

test("a node whose join token expired says since when and exits 1: sidecar, exec and gateway", async () => {
  const token = await tokenOf(mesh, "payments");
  aheadMs = 2 * ttlMs;
  try {
    const expired = new RegExp(`^the token expired at 20\\d\\d-\\S+Z; ${another}$`);
    expect(await refusal({ more: ["--token", token] })).toMatch(expired);
    expect(await refusal({ token, command: ["echo", "the command runs"] })).toMatch(expired);
    writeFileSync(join(folder, "join.token"), token);
    const membership = { coordinator: mesh.url, service: "payments", tokenFile: "join.token" };
    const routes = [{ respond: { status: 200 } }];
    const config = {
      admin: "127.0.0.1:0",
      mesh: membership,
      listeners: { web: { bind: "127.0.0.1:0", routes } },
    };
    writeFileSync(join(folder, "gateway.yaml"), JSON.stringify(config));
    const gateway = startClearway(["run", "-c", "gateway.yaml"], { folder });
    expect(await gateway.ended).toBe(1);
    expect(gateway.output()).toContain("payments cannot join the mesh");
    expect(gateway.output()).toContain("the token expired at 20");
    expect(gateway.output()).toContain(another);
  } finally {
    aheadMs = 0;
  }
});
