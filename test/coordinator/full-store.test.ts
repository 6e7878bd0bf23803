/** A coordinator whose store takes nothing any more, over real sockets: what goes on, what does not, and what was lost. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestCertificate } from "../../src/certificate-request.ts";
import { defaultLimits } from "../../src/config/limits.ts";
import { type StartParts, startCoordinator } from "../../src/coordinator/start.ts";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import type { Database, DatabaseFault, SqlValue } from "../../src/database.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { openDatabase } from "../../src/host/database/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import type { CheckedDocument, FeedMessage } from "../../src/mesh.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { serveApp } from "../../src/runtime/app-listener.ts";
import { Recorders } from "../../src/testing/recorders.ts";
import { instance } from "./mesh-documents.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-full-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const document: CheckedDocument = {
  files: [{ name: "mesh.yaml", text: "trustDomain: store.example" }],
  config: { trustDomain: "store.example", egress: "allow", services: [], plugins: [] },
  resolved: {},
};

async function start(name: string) {
  const database: FaultyDatabase[] = [];
  let operatorToken = "";
  const { log, logged } = new Recorders(() => {});
  const random = systemRandom();
  const parts: StartParts = {
    ...{ clock: systemClock, random, log },
    openDatabase: (path) => {
      database.push(new FaultyDatabase(openDatabase(path)));
      return database[0]!;
    },
    openFolder: async () => ({
      read: async () => null,
      replace: async (_, text) => {
        operatorToken = text.trim();
      },
      release: () => {},
    }),
    checkFiles: async (files) => ({ ...document, files }),
    serve: (address, tls, app) =>
      serveApp(
        { sockets: bunSockets, clock: systemClock, log },
        { name: "coordinator", address, limits: defaultLimits, tls },
        (request, env) => app.fetch(request, env),
      ),
  };
  const coordinator = await startCoordinator(parts, {
    bind: { host: "127.0.0.1", port: 0 },
    store: `sqlite:${join(folder, name, "coordinator.sqlite")}`,
    names: [],
    given: null,
    document,
    operator: "maria",
  });
  const url = `https://127.0.0.1:${(coordinator.address as { port: number }).port}`;
  const client = { clock: systemClock, fetch: secureFetch };
  const operator = new OperatorClient(client, { urls: [url], token: operatorToken });
  return {
    coordinator,
    database: database[0]!,
    operator,
    logged,
    node: new CoordinatorClient(client, [url]),
  };
}

/** As SQLite answers where the disk has no room; `sqlite.test.ts` has the real thing. */
class FaultyDatabase implements Database {
  fault: DatabaseFault | null = null;
  readonly #real: Database;

  constructor(real: Database) {
    this.#real = real;
  }

  run(sql: string, ...values: SqlValue[]): number {
    return this.#real.run(sql, ...values);
  }

  all(sql: string, ...values: SqlValue[]) {
    return this.#real.all(sql, ...values);
  }

  transaction<Result>(work: () => Result): Result {
    if (this.fault === null) return this.#real.transaction(work);
    throw Object.assign(new Error("as the test says"), { fault: this.fault });
  }

  close(): void {
    this.#real.close();
  }
}

const faults = {
  "is full": { fault: "full", reason: "store-full" },
  "may not be written": { fault: "read-only", reason: "store-read-only" },
} as const;

const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: { reason?: string; again?: string }) => `${error.reason} ${error.again}`,
  );

describe("coordinator", () => {
  for (const [name, { fault, reason }] of Object.entries(faults)) {
    test(`whose store ${name} keeps its nodes, renews their certificates, and says why it takes no others`, async () => {
      const { coordinator, database, operator, logged, node } = await start(name);
      const wish = { service: "payments", ttlMs: 60_000, uses: 1 };
      const tokens = await Promise.all(
        [1, 2].map(() => operator.post<{ token: string }>("/v1/tokens", wish)),
      );
      const [first, second] = tokens.map(({ token }) => token);
      const { key, request } = await requestCertificate();
      const joined = await node.join({ token: first!, request });
      const own = { ...joined, key, obtainedEpochMs: Date.now() };
      await node.lease({ node: "n1", instances: [instance("a", "payments")] }, own);
      const feed = await node.feed({ node: "n1", services: ["payments"], known: {} }, own);
      const messages = feed.messages[Symbol.asyncIterator]();
      const told = async (wanted: (message: FeedMessage) => boolean) => {
        for (;;) {
          const { value, done } = await messages.next();
          if (done === true) throw new Error("the feed ended");
          if (wanted(value)) return value;
        }
      };
      await told(({ kind }) => kind === "live");
      database.fault = fault;

      // What there is goes on.
      await node.lease(
        { node: "n1", instances: [instance("a", "payments"), instance("b", "payments")] },
        own,
      );
      await told((message) => message.kind === "changed" && message.put.some(({ id }) => id === "b"));
      expect((await node.renew({ request }, own)).identity).toBe("spiffe://store.example/payments");
      expect(logged.map(({ message }) => message)).toContain("a certificate was issued and not recorded");
      expect(await operator.get<object>("/v1/versions")).toMatchObject({ versions: [{ version: 1 }] });

      // What has to be remembered does not.
      const other = await requestCertificate();
      expect(await reasonOf(node.join({ token: second!, request: other.request }))).toBe(`${reason} later`);
      const files = [{ name: "mesh.yaml", text: "x".repeat(10_000) }];
      expect(await reasonOf(operator.put("/v1/document", { files, checked: null, base: 1 }))).toBe(
        `${reason} later`,
      );

      // Nothing was lost, and nothing was used up.
      database.fault = null;
      expect(await reasonOf(node.join({ token: second!, request: other.request }))).toBe("none");
      const applied = await operator.put<object>("/v1/document", { files, checked: null, base: 1 });
      expect(applied).toMatchObject({ version: 2 });
      feed.close();
      await coordinator.close();
    });
  }
});
