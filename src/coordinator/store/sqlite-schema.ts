import type { Database } from "../../database.ts";
import { StoreFailure } from "./store.ts";

/** "CLWY": tells our files from other programs'. */
const applicationId = 0x434c5759;

/** From the schema of a version (the first: an empty file) to that of the next. What was released is not changed. */
const steps: readonly (readonly string[])[] = [
  [
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, text TEXT NOT NULL, revision INTEGER NOT NULL) STRICT",
    `CREATE TABLE versions (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL, author TEXT NOT NULL,
      restores INTEGER, content TEXT NOT NULL) STRICT`,
    "CREATE TABLE instances (id TEXT PRIMARY KEY, node TEXT NOT NULL, content TEXT NOT NULL) STRICT",
    `CREATE TABLE token_uses (id TEXT NOT NULL, user TEXT NOT NULL, forget INTEGER NOT NULL,
      PRIMARY KEY (id, user)) STRICT, WITHOUT ROWID`,
    "CREATE INDEX token_uses_forget ON token_uses (forget)",
    "CREATE TABLE removed_services (service TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT",
    `CREATE TABLE issued_certificates (serial TEXT PRIMARY KEY, identity TEXT NOT NULL, node TEXT,
      starts INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT`,
    "CREATE INDEX issued_certificates_expires ON issued_certificates (expires, serial)",
  ],
];

/** Brings a file to the newest schema, whole or not at all. Refuses one that a newer program or another one made. */
export function migrate(database: Database, path: string): void {
  database.transaction(() => {
    const version = pragma(database, "user_version");
    const tables = database.all("SELECT name FROM sqlite_schema LIMIT 1").length;
    if (tables > 0 && pragma(database, "application_id") !== applicationId) {
      throw new StoreFailure("store-damaged", `store ${path}: it is a database of another program`);
    }
    if (version > steps.length) {
      const wanted = `it has version ${version}, this program knows up to ${steps.length}`;
      throw new StoreFailure("store-newer", `store ${path}: a newer Clearway made it: ${wanted}`);
    }
    if (version === steps.length) return;
    for (const sql of steps.slice(version).flat()) database.run(sql);
    database.run(`PRAGMA application_id = ${applicationId}`);
    database.run(`PRAGMA user_version = ${steps.length}`);
  });
}

function pragma(database: Database, name: "user_version" | "application_id"): number {
  return Number(database.all(`PRAGMA ${name}`)[0]?.[name]);
}
