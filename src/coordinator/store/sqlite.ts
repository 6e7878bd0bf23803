import type {
  Database,
  DatabaseError,
  DatabaseFault,
  OpenDatabase,
  SqlRow,
  SqlValue,
} from "../../database.ts";
import type { DocumentVersion, Instance, VersionSummary } from "../../mesh.ts";
import { documentVersion, forgottenUpTo, keptVersion, type VersionLimits } from "./kept-version.ts";
import { migrate } from "./sqlite-schema.ts";
import {
  demandRoom,
  type InstancesChange,
  type IssuedCertificate,
  type RemovedService,
  type Secret,
  type SecretName,
  type Store,
  type StoredInstance,
  StoreFailure,
  type StoreReason,
  type Swapped,
  storeLimits,
  type TokenUse,
} from "./store.ts";

/** Rejects with a StoreFailure that names the file. */
export async function openSqliteStore(
  open: OpenDatabase,
  path: string,
  versionLimits: VersionLimits = storeLimits,
): Promise<Store> {
  const database = told(path, () => open(path));
  try {
    told(path, () => migrate(database, path));
  } catch (error) {
    database.close();
    throw error;
  }
  return new SqliteStore(database, path, versionLimits);
}

/** One transaction for each change. */
class SqliteStore implements Store {
  readonly #database: Database;
  readonly #path: string;
  readonly #versionLimits: VersionLimits;

  constructor(database: Database, path: string, versionLimits: VersionLimits) {
    this.#database = database;
    this.#path = path;
    this.#versionLimits = versionLimits;
  }

  async readSecret(name: SecretName): Promise<Secret | null> {
    const row = this.#first("SELECT text, revision FROM secrets WHERE name = ?", name);
    return row === undefined ? null : { text: String(row.text), revision: Number(row.revision) };
  }

  async swapSecret(name: SecretName, text: string, revision: number): Promise<Swapped> {
    return this.#change((database) => {
      const changed =
        revision === 0
          ? database.run("INSERT INTO secrets VALUES (?, ?, 1) ON CONFLICT DO NOTHING", name, text)
          : database.run(
              "UPDATE secrets SET text = ?, revision = revision + 1 WHERE name = ? AND revision = ?",
              text,
              name,
              revision,
            );
      return changed === 1 ? "stored" : "conflict";
    });
  }

  async appendVersion(version: DocumentVersion): Promise<Swapped> {
    const { summary, content } = keptVersion(version);
    const { version: number, appliedEpochMs, by, restores } = summary;
    return this.#change((database) => {
      const [row] = database.all("SELECT max(version) AS current FROM versions");
      if (number !== Number(row?.current ?? 0) + 1) return "conflict";
      database.run(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?)",
        number,
        appliedEpochMs,
        by,
        restores,
        content,
      );
      const last = forgottenUpTo(versionSizes(database), this.#versionLimits);
      if (last > 0) database.run("DELETE FROM versions WHERE version <= ?", last);
      return "stored";
    });
  }

  async currentVersion(): Promise<DocumentVersion | null> {
    return versionOf(this.#first("SELECT * FROM versions ORDER BY version DESC LIMIT 1"));
  }

  async readVersion(number: number): Promise<DocumentVersion | null> {
    return versionOf(this.#first("SELECT * FROM versions WHERE version = ?", number));
  }

  async listVersions(countMax: number): Promise<readonly VersionSummary[]> {
    const sql = "SELECT version, applied, author, restores FROM versions ORDER BY version DESC LIMIT ?";
    return this.#all(sql, countMax).map(summaryOf);
  }

  async changeInstances({ put, removed }: InstancesChange): Promise<void> {
    this.#change((database) => {
      for (const id of removed) database.run("DELETE FROM instances WHERE id = ?", id);
      for (const { node, instance } of put) {
        database.run(
          "INSERT OR REPLACE INTO instances VALUES (?, ?, ?)",
          instance.id,
          node,
          JSON.stringify(instance),
        );
      }
      if (put.length > 0) demandRoom("instances", countOf(database, "instances"));
    });
  }

  async listInstances(): Promise<readonly StoredInstance[]> {
    return this.#all("SELECT node, content FROM instances ORDER BY id").map(({ node, content }) => ({
      node: String(node),
      instance: JSON.parse(String(content)) as Instance,
    }));
  }

  async useToken({ tokenId, user, usesMax, forgetEpochMs }: TokenUse, nowEpochMs: number) {
    return this.#change((database) => {
      database.run("DELETE FROM token_uses WHERE forget <= ?", nowEpochMs);
      const own = database.all("SELECT 1 FROM token_uses WHERE id = ? AND user = ?", tokenId, user);
      if (own.length > 0) return "used" as const;
      const [row] = database.all("SELECT count(*) AS uses FROM token_uses WHERE id = ?", tokenId);
      if (Number(row?.uses) >= usesMax) return "used-up" as const;
      database.run("INSERT INTO token_uses VALUES (?, ?, ?)", tokenId, user, forgetEpochMs);
      demandRoom("tokenUses", countOf(database, "token_uses"));
      return "used" as const;
    });
  }

  async putRemovedService({ service, untilEpochMs }: RemovedService, nowEpochMs: number): Promise<void> {
    this.#change((database) => {
      database.run("DELETE FROM removed_services WHERE until <= ?", nowEpochMs);
      database.run("INSERT OR REPLACE INTO removed_services VALUES (?, ?)", service, untilEpochMs);
      demandRoom("removedServices", countOf(database, "removed_services"));
    });
  }

  async deleteRemovedService(service: string): Promise<void> {
    this.#change((database) => database.run("DELETE FROM removed_services WHERE service = ?", service));
  }

  async listRemovedServices(nowEpochMs: number): Promise<readonly RemovedService[]> {
    return this.#all(
      "SELECT service, until FROM removed_services WHERE until > ? ORDER BY service",
      nowEpochMs,
    ).map(({ service, until }) => ({ service: String(service), untilEpochMs: Number(until) }));
  }

  async putIssuedCertificate(issued: IssuedCertificate, nowEpochMs: number): Promise<Swapped> {
    const { serial, identity, node, startsEpochMs, expiresEpochMs } = issued;
    return this.#change((database) => {
      database.run("DELETE FROM issued_certificates WHERE expires <= ?", nowEpochMs);
      const stored = database.run(
        "INSERT INTO issued_certificates VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        serial,
        identity,
        node,
        startsEpochMs,
        expiresEpochMs,
      );
      if (stored === 0) return "conflict";
      const over = countOf(database, "issued_certificates") - storeLimits.issuedCertificates;
      if (over > 0) {
        const first = "SELECT serial FROM issued_certificates ORDER BY expires, serial LIMIT ?";
        database.run(`DELETE FROM issued_certificates WHERE serial IN (${first})`, over);
      }
      return "stored";
    });
  }

  async listIssuedCertificates(nowEpochMs: number): Promise<readonly IssuedCertificate[]> {
    const sql = "SELECT * FROM issued_certificates WHERE expires > ? ORDER BY expires, serial";
    return this.#all(sql, nowEpochMs).map(({ serial, identity, node, starts, expires }) => ({
      serial: String(serial),
      identity: String(identity),
      node: node === null ? null : String(node),
      startsEpochMs: Number(starts),
      expiresEpochMs: Number(expires),
    }));
  }

  /** The file is locked for this process: there are no others. */
  watch(): () => void {
    return () => undefined;
  }

  async close(): Promise<void> {
    told(this.#path, () => this.#database.close());
  }

  #change<Result>(work: (database: Database) => Result): Result {
    return told(this.#path, () => this.#database.transaction(() => work(this.#database)));
  }

  #all(sql: string, ...values: SqlValue[]): readonly SqlRow[] {
    return told(this.#path, () => this.#database.all(sql, ...values));
  }

  #first(sql: string, ...values: SqlValue[]): SqlRow | undefined {
    return this.#all(sql, ...values)[0];
  }
}

type Table = "instances" | "token_uses" | "removed_services" | "issued_certificates";

function countOf(database: Database, table: Table): number {
  return Number(database.all(`SELECT count(*) AS count FROM ${table}`)[0]?.count);
}

/** The newest first. `octet_length` reads no content: 256 MiB of it would be read with each new version. */
function versionSizes(database: Database) {
  const sql = "SELECT version, octet_length(content) AS bytes FROM versions ORDER BY version DESC";
  return database.all(sql).map(({ version, bytes }) => ({ version: Number(version), bytes: Number(bytes) }));
}

function versionOf(row: SqlRow | undefined): DocumentVersion | null {
  return row === undefined
    ? null
    : documentVersion({ summary: summaryOf(row), content: String(row.content) });
}

function summaryOf({ version, applied, author, restores }: SqlRow): VersionSummary {
  return {
    version: Number(version),
    appliedEpochMs: Number(applied),
    by: String(author),
    restores: restores === null ? null : Number(restores),
  };
}

const reasons: Readonly<Record<DatabaseFault, readonly [StoreReason, string]>> = {
  full: ["store-full", "there is no room left for it"],
  "read-only": ["store-read-only", "it may not be written"],
  locked: [
    "store-locked",
    "another coordinator has it open; stop that one, or name another file with --store",
  ],
  damaged: ["store-damaged", "it is no SQLite database, or a damaged one; restore it from a copy"],
  unreachable: ["store-failed", "it cannot be opened"],
  other: ["store-failed", "it cannot be used"],
};

/** Failures of the database in the words of the store. */
function told<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const fault = (error as Partial<DatabaseError>).fault;
    if (fault === undefined) throw error;
    const [reason, words] = reasons[fault];
    throw new StoreFailure(reason, `store ${path}: ${words} (${(error as Error).message})`, error);
  }
}
