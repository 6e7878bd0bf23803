/** The nouns of an embedded SQL database, types only: what a host must offer where something is kept for good. */

export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** Every call throws a DatabaseError when the database cannot do it, and has changed nothing then. */
export interface Database {
  /** One statement; returns how many rows it changed. */
  run(sql: string, ...values: SqlValue[]): number;
  all(sql: string, ...values: SqlValue[]): readonly SqlRow[];
  /** All of it or nothing: what `work` throws undoes what it did. On the disk when it returns. */
  transaction<Result>(work: () => Result): Result;
  close(): void;
}

export type DatabaseFault =
  /** No room left, on the disk or by a limit. */
  | "full"
  | "read-only"
  /** Another process has it open. */
  | "locked"
  /** The file is no database, or broken. */
  | "damaged"
  /** The file cannot be opened or made. */
  | "unreachable"
  | "other";

export interface DatabaseError extends Error {
  readonly fault: DatabaseFault;
}

/**
 * Opens the database in this file for this process alone, until it is closed or the process ends, however it ends. A new
 * file, and its folder, are made for their owner only.
 */
export type OpenDatabase = (path: string) => Database;
