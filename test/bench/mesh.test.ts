import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "node:tls";
import type { Facts } from "../../bench/machine.ts";
import { checkMutualTls, makeMeshCertificates, type Pair } from "../../bench/node-pairs.ts";
import { targetsOf } from "../../bench/targets.ts";
import { removeFolder } from "../../bench/variants.ts";
import { mesh } from "../../bench/workloads/mesh.ts";
import { type MeshRow, smallMeshCase } from "../../bench/workloads/mesh-report.ts";

function row(
  variant: MeshRow["variant"],
  round: number,
  cpuUs: number,
  more: Partial<MeshRow> = {},
): MeshRow {
  const load = { requests: 1_000, elapsedUs: 1_000_000, bytes: 0, p50Us: 100, p99Us: 200, failed: 0 };
  const memory = { rssBytes: 2 ** 20, pssBytes: 2 ** 20 };
  const shared = { case: smallMeshCase, error: null, agreed: "TLSv1.3 A", requestsPerSecond: null };
  return { ...shared, ...load, ...memory, variant, round, cpuUs, ...more };
}

test("mesh compares both nodes with nginx's pair of the same round; the verdict is Clearway's alone", () => {
  const rows = [1, 2, 3].flatMap((round) => [
    row("nginx", round, 40_000 * round),
    row("envoy", round, 80_000 * round),
    row("clearway", round, 30_000 * round),
  ]);
  const { tables, problems } = mesh.report(rows);
  expect(tables[0]!.rows.map((line) => line.slice(1, 7))).toEqual([
    ["nginx", "1,000", "80.0", "-", "-", ""],
    ["envoy", "1,000", "160", "2.00", "2.00..2.00", ""],
    ["clearway", "1,000", "60.0", "0.75", "0.75..0.75", "within 0.8"],
  ]);
  expect(problems).toEqual([]);
});

test("mesh reports pairs that agreed on different ciphers, that failed, or that did not do the work", () => {
  const { problems } = mesh.report([
    row("nginx", 1, 1, { agreed: "TLSv1.3 B" }),
    row("clearway", 1, 1, { failed: 3 }),
    row("clearway", 2, 0, { error: "no answer", agreed: "" }),
  ]);
  expect(problems).toEqual([
    `${smallMeshCase}: clearway: round 1: 3 requests failed of 1000`,
    `${smallMeshCase}: clearway: round 2: no answer`,
    "the rows cannot be compared: TLSv1.3 B, TLSv1.3 A",
  ]);
});

test("the target of mesh is of nginx's pair, and wants nine rounds", () => {
  const rows = [1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((round) => [
    row("nginx", round, 40_000),
    row("envoy, HTTP/2", round, 60_000),
    row("clearway", round, 36_000),
  ]);
  const found = targetsOf(new Map([["mesh", { facts: {} as Facts, rows }]]));
  expect(found).toMatchObject([{ of: "nginx", limit: 0.8, verdict: "over" }]);
});

const certificates = await makeMeshCertificates();
afterAll(() => removeFolder(certificates));
const read = (name: string) => readFileSync(join(certificates, name), "utf8");
const caller = { certificate: read("caller.pem"), key: read("caller.key") };

/** Answers 200 to whoever completes its handshake. */
async function nodeThat(demands: "a certificate" | "nothing"): Promise<{ pair: Pair; stop: () => void }> {
  const server = createServer({
    ...{ cert: read("service.pem"), key: read("service.key"), ca: read("ca.pem") },
    ...{ requestCert: demands === "a certificate", rejectUnauthorized: demands === "a certificate" },
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { pair: { inbound: { port } } as unknown as Pair, stop: () => server.close() };
}

test("a pair whose second node answers callers without a certificate is not measured", async () => {
  const strict = await nodeThat("a certificate");
  const open = await nodeThat("nothing");
  try {
    expect(await checkMutualTls(strict.pair, caller)).toMatch(/^TLSv1\.3 TLS_AES_/);
    await expect(checkMutualTls(open.pair, caller)).rejects.toThrow("without a certificate was answered");
  } finally {
    strict.stop();
    open.stop();
  }
});
