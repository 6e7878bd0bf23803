/** SQLite by `node:sqlite`, which Bun, Node from 22.5 and Deno have. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Database, DatabaseError, DatabaseFault, SqlRow, SqlValue } from "../../database.ts";

/** Result codes of SQLite (https://sqlite.org/rescode.html), without what extended ones add above the low byte. */
const faults: Readonly<Record<number, DatabaseFault>> = {
  3: "unreachable", // PERM
  5: "locked", // BUSY
  6: "locked", // LOCKED
  8: "read-only", // READONLY
  11: "damaged", // CORRUPT
  13: "full", // FULL
  14: "unreachable", // CANTOPEN
  26: "damaged", // NOTADB
};
const fileFaults: Readonly<Record<string, DatabaseFault>> = {
  EACCES: "read-only",
  EPERM: "read-only",
  EROFS: "read-only",
  ENOSPC: "full",
  EDQUOT: "full",
};

export function openDatabase(path: string): Database {
  return new SqliteDatabase(path);
}

class SqliteDatabase implements Database {
  readonly #native: DatabaseSync;
  /** By their SQL, of which a program has a fixed number. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#native = told(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      makeFile(path);
      return new DatabaseSync(path);
    });
    try {
      // The lock is the system's: it is gone with the process. Set before the first use, WAL needs no shared memory file.
      this.#do("PRAGMA locking_mode = EXCLUSIVE");
      this.#do("PRAGMA journal_mode = WAL");
      this.#do("PRAGMA synchronous = FULL");
      this.transaction(() => undefined);
    } catch (error) {
      this.#native.close();
      throw error;
    }
  }

  run(sql: string, ...values: SqlValue[]): number {
    return told(() => Number(this.#statement(sql).run(...values).changes));
  }

  all(sql: string, ...values: SqlValue[]): readonly SqlRow[] {
    return told(() => this.#statement(sql).all(...values) as unknown as readonly SqlRow[]);
  }

  transaction<Result>(work: () => Result): Result {
    this.#do("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#do("COMMIT");
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#native.close();
  }

  #rollBack(): void {
    try {
      this.#native.exec("ROLLBACK");
    } catch {
      // SQLite did it by itself, as it may where the disk is full.
    }
  }

  #do(sql: string): void {
    told(() => this.#native.exec(sql));
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#native.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** SQLite would make it with the rights of the umask; the files beside it get the rights of this one. */
function makeFile(path: string): void {
  try {
    // One that exists is not opened: to close it would free what this process has locked in it.
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
}

function told<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw databaseError(error as Error & { errcode?: number; code?: string });
  }
}

function databaseError(error: Error & { errcode?: number; code?: string }): DatabaseError {
  const { errcode, code = "", message } = error;
  const fault =
    errcode === undefined
      ? (fileFaults[code] ?? (code.startsWith("E") ? "unreachable" : "other"))
      : (faults[errcode & 0xff] ?? "other");
  return Object.assign(new Error(message, { cause: error }), { fault });
}
