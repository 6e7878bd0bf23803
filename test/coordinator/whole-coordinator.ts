/** A whole coordinator in the test's own process, over real sockets, whose store and clock a test can make go wrong. */
import { defaultLimits } from "../../src/config/limits.ts";
import { type StartedCoordinator, type StartParts, startCoordinator } from "../../src/coordinator/start.ts";
import { OperatorClient } from "../../src/coordinator-client/operator-client.ts";
import type { Database, DatabaseFault, SqlValue } from "../../src/database.ts";
import { systemClock } from "../../src/host/clock/node.ts";
import { openDatabase } from "../../src/host/database/node.ts";
import { secureFetch } from "../../src/host/fetch/bun.ts";
import { systemRandom } from "../../src/host/random/node.ts";
import { bunSockets } from "../../src/host/sockets/bun.ts";
import type { Clock } from "../../src/machine.ts";
import type { CheckedDocument } from "../../src/mesh.ts";
import { CoordinatorClient } from "../../src/node/mesh/coordinator-client.ts";
import { serveApp } from "../../src/runtime/app-listener.ts";
import { Recorders } from "../../src/testing/recorders.ts";

export interface WholeWish {
  /** Of the store's file. */
  readonly path: string;
  readonly document: CheckedDocument;
  readonly clock?: Clock;
  /** A free one without it. */
  readonly port?: number;
  /** What its folder had before. */
  readonly operatorToken?: string;
}

export interface WholeCoordinator {
  readonly coordinator: StartedCoordinator;
  readonly database: FaultyDatabase;
  readonly operator: OperatorClient;
  readonly operatorToken: string;
  readonly logged: Recorders["logged"];
  readonly node: CoordinatorClient;
  readonly port: number;
  readonly url: string;
}

export async function startWhole({
  path,
  document,
  clock = systemClock,
  port: wantedPort = 0,
  operatorToken: kept,
}: WholeWish): Promise<WholeCoordinator> {
  const database: FaultyDatabase[] = [];
  let operatorToken = kept ?? "";
  const { log, logged } = new Recorders(() => {});
  const parts: StartParts = {
    ...{ clock, random: systemRandom(), log },
    openDatabase: (at) => {
      database.push(new FaultyDatabase(openDatabase(at)));
      return database[0]!;
    },
    openFolder: async () => ({
      read: async () => kept ?? null,
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
    bind: { host: "127.0.0.1", port: wantedPort },
    store: `sqlite:${path}`,
    names: [],
    given: null,
    document,
    operator: "maria",
  });
  const { port } = coordinator.address as { port: number };
  const url = `https://127.0.0.1:${port}`;
  const client = { clock: systemClock, fetch: secureFetch };
  const operator = new OperatorClient(client, { urls: [url], token: operatorToken });
  const node = new CoordinatorClient(client, [url]);
  return { coordinator, database: database[0]!, operator, operatorToken, logged, node, port, url };
}

/** As SQLite answers where the disk has no room; `sqlite.test.ts` has the real thing. */
export class FaultyDatabase implements Database {
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
