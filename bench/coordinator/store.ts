/**
 * What a coordinator's store costs: `bun bench/coordinator/store.ts [FOLDER]`. Each change alone, with 10,000 instances and
 * certificates in the store, median and range of nine alternated rounds: in memory, and in SQLite in FOLDER (the current
 * one), where each change is on the disk when it is answered. Prints wall time and CPU time of one.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import { Authority } from "../../src/coordinator/identity/authority.ts";
import { Issuing } from "../../src/coordinator/identity/issuing.ts";
import { Tokens } from "../../src/coordinator/identity/tokens.ts";
import { MemoryStore } from "../../src/coordinator/store/memory.ts";
import { openSqliteStore } from "../../src/coordinator/store/sqlite.ts";
import type { Store } from "../../src/coordinator/store/store.ts";
import { systemClock as clock } from "../../src/host/clock/node.ts";
import { openDatabase } from "../../src/host/database/node.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import type { DocumentVersion, Instance } from "../../src/mesh.ts";
import type { Log } from "../../src/types.ts";
import { spreadOf } from "../statistics.ts";
import { textTable } from "../table.ts";

const rounds = 9;
const kept = 10_000;
const random = systemRandom();
const nothing = () => {};
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const folder = mkdtempSync(join(process.argv[2] ?? ".", "store-bench-"));
const path = join(folder, "coordinator.sqlite");
const identity = { trustDomain: "store.example", service: "payments" };

function instance(id: string): Instance {
  const address = { host: "10.0.0.1", port: 4143 };
  return { id, service: "payments", address, version: "v1", zone: "a", weight: 1, state: "healthy" };
}

function version(number: number): DocumentVersion {
  const config = { trustDomain: "store.example", egress: "allow" as const, services: [], plugins: [] };
  const files = [{ name: "mesh.yaml", text: "x".repeat(100_000) }];
  return { version: number, appliedEpochMs: 0, by: "maria", restores: null, files, config, resolved: {} };
}

async function fill(store: Store): Promise<void> {
  const put = Array.from({ length: kept }, (_, index) => ({
    node: `n${index}`,
    instance: instance(`i${index}`),
  }));
  await store.changeInstances({ put, removed: [] });
  for (let index = 0; index < kept; index += 1) {
    const issued = { serial: random.id(), identity: "spiffe://store.example/payments", node: null };
    const now = clock.epochMs();
    await store.putIssuedCertificate(
      { ...issued, startsEpochMs: now, expiresEpochMs: now + 86_400_000 },
      now,
    );
  }
}

interface Measured {
  readonly wallUs: number;
  readonly cpuUs: number;
}

async function each(times: number, work: (index: number) => Promise<unknown>): Promise<Measured> {
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  for (let index = 0; index < times; index += 1) await work(index);
  const { user, system } = process.cpuUsage(cpu);
  return { wallUs: ((performance.now() - startMs) * 1000) / times, cpuUs: (user + system) / times };
}

async function casesOf(store: Store) {
  const authority = await Authority.open({ store, clock, random, log, given: null });
  const { rootFingerprint } = authority;
  const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
  const { trustDomain } = identity;
  const issuing = new Issuing({ authority, tokens, store, clock, trustDomain, isRemoved: () => false });
  const { token } = await issuing.createToken({ service: "payments", ttlMs: 3_600_000, uses: 100_000 });
  const requests = await Promise.all(Array.from({ length: 50 * (rounds + 1) }, () => requestCertificate()));
  let asked = 0;
  let next = 0;
  const changed = (count: number) => ({
    put: Array.from({ length: count }, () => ({ node: "n", instance: instance(`i${next++ % kept}`) })),
    removed: [],
  });
  let current = 0;
  return {
    "an instance registered": () => each(200, () => store.changeInstances(changed(1))),
    "100 instances registered at once": () => each(50, () => store.changeInstances(changed(100))),
    "a use of a token counted": () =>
      each(200, () => store.useToken({ tokenId: random.id(), user: "n", usesMax: 1, forgetEpochMs: 1 }, 0)),
    "a version of 100 KB appended": () => each(30, () => store.appendVersion(version(++current))),
    "10,000 instances read": () => each(5, () => store.listInstances()),
    "a node joined (token, request, certificate)": () =>
      each(50, () => issuing.join({ token, request: requests[asked++]!.request })),
  };
}

const stores = { memory: new MemoryStore(), sqlite: await openSqliteStore(openDatabase, path) };
const seen = new Map<string, { wall: number[]; cpu: number[] }>();
const cases = { memory: await casesOf(stores.memory), sqlite: await casesOf(stores.sqlite) };
for (const store of Object.values(stores)) await fill(store);
for (let round = 0; round < rounds; round += 1) {
  const names = round % 2 === 0 ? (["memory", "sqlite"] as const) : (["sqlite", "memory"] as const);
  for (const name of names) {
    for (const [what, measure] of Object.entries(cases[name])) {
      const { wallUs, cpuUs } = await measure();
      const row = seen.get(`${what}|${name}`) ?? { wall: [], cpu: [] };
      row.wall.push(wallUs);
      row.cpu.push(cpuUs);
      seen.set(`${what}|${name}`, row);
    }
  }
}
const text = (values: readonly number[]) => {
  const { median, min, max } = spreadOf(values);
  return `${median.toFixed(0)} (${min.toFixed(0)}..${max.toFixed(0)})`;
};
const rows = [...seen].map(([name, { wall, cpu }]) => [...name.split("|"), text(wall), text(cpu)]);
const bytes = statSync(path).size + statSync(`${path}-wal`).size;
console.log(
  textTable({
    title: "What a coordinator's store costs",
    columns: ["what", "store", "us", "CPU us"],
    rows: rows.sort(([a = ""], [b = ""]) => a.localeCompare(b)),
    notes: [`SQLite's files had ${(bytes / 1024 / 1024).toFixed(1)} MiB at the end`],
  }),
);
for (const store of Object.values(stores)) await store.close();
rmSync(folder, { recursive: true });
