/**
 * The coordinator that `coordinator` measures: `bun bench/coordinator/server.ts FOLDER PORT SERVICE…`, the real one on SQLite
 * behind its own listener. What simulated nodes need to be somebody is in `ready.json` of the folder when it serves; started
 * again in that folder it goes on.
 */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import { defaultLimits } from "../../src/config/limits.ts";
import { Coordinator } from "../../src/coordinator/coordinator.ts";
import { Documents } from "../../src/coordinator/documents/documents.ts";
import { Authority } from "../../src/coordinator/identity/authority.ts";
import { Tokens } from "../../src/coordinator/identity/tokens.ts";
import { handshakeTimeoutMs } from "../../src/coordinator/start.ts";
import { openSqliteStore } from "../../src/coordinator/store/sqlite.ts";
import { systemClock as clock } from "../../src/host/clock/node.ts";
import { openDatabase } from "../../src/host/database/node.ts";
import { host } from "../../src/host/index.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { serveApp } from "../../src/runtime/app-listener.ts";
import { meshService } from "../../test/coordinator/mesh-documents.ts";

const [folder = ".", port = "0", ...services] = process.argv.slice(2);
const trustDomain = "store.example";
const say = (message: string, fields?: object) => console.error(message, JSON.stringify(fields ?? {}));
const log = { debug() {}, info() {}, warn: say, error: say };
const random = systemRandom();

const store = await openSqliteStore(openDatabase, join(folder, "coordinator.sqlite"));
const authority = await Authority.open({ store, clock, random, log, given: null });
const { rootFingerprint } = authority;
const tokens = await Tokens.open({ store, clock, random, rootFingerprint });
// Is there already after a restart.
await store.appendVersion({
  version: 1,
  appliedEpochMs: clock.epochMs(),
  by: "bench",
  restores: null,
  files: [],
  config: {
    trustDomain,
    egress: "allow",
    services: services.map((name) => meshService(name, { inbound: ["policy"] })),
    plugins: [],
  },
  resolved: {},
});
const checkFiles = () => Promise.reject(new Error("the benchmark applies nothing"));
const documents = new Documents({ store, clock, trustDomain, checkFiles });
const coordinator = await Coordinator.open({
  writeOperatorToken: async () => {},
  ...{ clock, random, log, store, trustDomain, authority, tokens, documents },
});
const server = await authority.issueServer({ dns: [], addresses: ["127.0.0.1"] });
const listener = await serveApp(
  { sockets: host.sockets, clock, log },
  {
    name: "coordinator",
    address: { host: "127.0.0.1", port: Number(port) },
    limits: { ...defaultLimits, handshakeTimeoutMs },
    tls: { ...server, clientCa: authority.roots, clientAuth: "optional", versionMin: "1.3" },
  },
  (request, env) => coordinator.app.fetch(request, env),
);

const credentials: Record<string, { certificate: string; key: string }> = {};
for (const service of services) {
  const { key, request } = await requestCertificate();
  const accepted = await authority.accept(request);
  const { certificate } = await authority.issue(accepted, { identity: { trustDomain, service }, node: null });
  credentials[service] = { certificate, key };
}
const ready = { port: (listener.address as { port: number }).port, roots: authority.roots, credentials };
// Whole when it is there.
writeFileSync(join(folder, "ready.part"), JSON.stringify(ready));
renameSync(join(folder, "ready.part"), join(folder, "ready.json"));
process.on("SIGTERM", () => process.exit(0));
