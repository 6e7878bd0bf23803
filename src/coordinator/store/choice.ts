import type { OpenDatabase } from "../../database.ts";
import { MemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";

/** As after `--store`: `memory`, or `sqlite:PATH`. Rejects with an Error that says what was wanted, or a StoreFailure. */
export async function openStore(text: string, open: OpenDatabase): Promise<Store> {
  if (text === "memory") return new MemoryStore();
  const path = /^sqlite:(.+)$/.exec(text)?.[1];
  if (path !== undefined) return openSqliteStore(open, path);
  throw new Error(`cannot read ${JSON.stringify(text)} after --store: wanted sqlite:PATH or memory`);
}
