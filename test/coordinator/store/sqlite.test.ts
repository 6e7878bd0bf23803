import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VersionLimits } from "../../../src/coordinator/store/kept-version.ts";
import { openSqliteStore } from "../../../src/coordinator/store/sqlite.ts";
import { type Store, StoreFailure } from "../../../src/coordinator/store/store.ts";
import type { Database } from "../../../src/database.ts";
import { openDatabase } from "../../../src/host/database/node.ts";
import { instance, testStore, version } from "./contract.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-store-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const paths = new WeakMap<Store, string>();
const newPath = () => join(folder, `${++count}`, "coordinator.sqlite");

async function openAt(path: string, kept?: VersionLimits): Promise<Store> {
  const store = await openSqliteStore(openDatabase, path, kept);
  paths.set(store, path);
  return store;
}

testStore("sqlite", {
  make: (kept) => openAt(newPath(), kept),
  reopen: async (store, kept) => {
    await store.close();
    return openAt(paths.get(store)!, kept);
  },
});

async function failureOf(work: Promise<unknown>): Promise<StoreFailure> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreFailure);
  return error as StoreFailure;
}

describe("sqlite", () => {
  test("store's files are their owner's alone", async () => {
    const path = newPath();
    const store = await openAt(path);
    await store.appendVersion(version(1));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}-wal`).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    await store.close();
  });

  test("store refuses a second coordinator, in this process and in another", async () => {
    const path = newPath();
    const store = await openAt(path);
    const { reason, message } = await failureOf(openAt(path));
    expect([reason, message]).toEqual(["store-locked", expect.stringContaining(path)]);
    const other = Bun.spawnSync([process.execPath, join(import.meta.dirname, "second-coordinator.ts"), path]);
    expect(other.stdout.toString()).toBe("store-locked\n");
    // The first one goes on, and after it the file is free.
    expect(await store.appendVersion(version(1))).toBe("stored");
    await store.close();
    const next = await openAt(path);
    expect(await next.currentVersion()).toEqual(version(1));
    await next.close();
  });

  test("store's file stops growing when versions fill what they may have", async () => {
    const path = newPath();
    const store = await openAt(path, { versions: 500, versionBytes: 1_000_000 });
    const append = async (number: number) => store.appendVersion(version(number, "x".repeat(100_000)));
    for (let number = 1; number <= 20; number += 1) await append(number);
    await store.close();
    const before = statSync(path).size;
    const again = await openAt(path, { versions: 500, versionBytes: 1_000_000 });
    for (let number = 21; number <= 60; number += 1) {
      expect(await again.appendVersion(version(number, "x".repeat(100_000)))).toBe("stored");
    }
    expect((await again.listVersions(500)).length).toBe(9);
    await again.close();
    expect(statSync(path).size).toBeLessThan(before + 300_000);
  });

  test("store that is full says so, loses nothing and goes on when there is room", async () => {
    const path = newPath();
    let database: Database | null = null;
    const store = await openSqliteStore((at) => (database = openDatabase(at)), path);
    await store.appendVersion(version(1));
    const pages = Number(database!.all("PRAGMA page_count")[0]?.page_count);
    database!.all(`PRAGMA max_page_count = ${pages}`);
    const large = version(2, "x".repeat(100_000));
    const failure = await failureOf(store.appendVersion(large));
    expect([failure.reason, failure.message]).toEqual(["store-full", expect.stringContaining(path)]);
    expect(await store.currentVersion()).toEqual(version(1));
    database!.all("PRAGMA max_page_count = 100000");
    expect(await store.appendVersion(large)).toBe("stored");
    await store.close();
    const next = await openAt(path);
    expect(await next.currentVersion()).toEqual(large);
    await next.close();
  });

  test("store that may not be written says so and still reads", async () => {
    const path = newPath();
    let database: Database | null = null;
    const store = await openSqliteStore((at) => (database = openDatabase(at)), path);
    await store.appendVersion(version(1));
    database!.all("PRAGMA query_only = ON");
    const failure = await failureOf(store.changeInstances({ put: [], removed: ["a"] }));
    expect([failure.reason, failure.message]).toEqual(["store-read-only", expect.stringContaining(path)]);
    expect(await store.currentVersion()).toEqual(version(1));
    await store.close();
  });

  test("store in a folder without the right to write is refused with its path", () => {
    const closed = join(folder, "closed");
    mkdirSync(closed);
    chmodSync(folder, 0o755);
    chmodSync(closed, 0o555);
    const path = join(closed, "coordinator.sqlite");
    // The superuser may write everywhere.
    const asNobody = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : [];
    const script = join(import.meta.dirname, "second-coordinator.ts");
    const other = Bun.spawnSync([...asNobody, process.execPath, script, path]);
    expect(other.stdout.toString() + other.stderr.toString()).toBe("store-read-only\n");
  });

  test("store refuses a file that is no database, another program's, or a newer one's", async () => {
    const junk = join(folder, "junk.sqlite");
    writeFileSync(junk, "not a database\n".repeat(500));
    expect((await failureOf(openAt(junk))).reason).toBe("store-damaged");
    const foreign = join(folder, "foreign.sqlite");
    const database = openDatabase(foreign);
    database.run("CREATE TABLE theirs (a INTEGER)");
    database.close();
    const { reason, message } = await failureOf(openAt(foreign));
    expect([reason, message]).toEqual([
      "store-damaged",
      `store ${foreign}: it is a database of another program`,
    ]);
    const newer = join(folder, "newer.sqlite");
    await (await openAt(newer)).close();
    const changed = openDatabase(newer);
    changed.run("PRAGMA user_version = 99");
    changed.close();
    expect((await failureOf(openAt(newer))).message).toContain("a newer Clearway made it");
  });

  test("store whose coordinator is killed in the middle of writes has all that was answered, and no halves", async () => {
    const path = newPath();
    const script = join(import.meta.dirname, "busy-coordinator.ts");
    for (let round = 0; round < 3; round += 1) {
      const child = Bun.spawn([process.execPath, script, path], { stdout: "pipe" });
      const answered = await killedAfter(child, 20 + round * 17);
      const store = await openAt(path);
      const current = (await store.currentVersion())?.version ?? 0;
      expect(current).toBeGreaterThanOrEqual(answered);
      // The last version may be stored and its pair of instances not yet; never one without the other.
      const ids = (await store.listInstances()).map(({ instance: { id } }) => id);
      expect(ids.filter((id) => id.startsWith("left-")).map((id) => id.slice(5))).toEqual(
        ids.filter((id) => id.startsWith("right-")).map((id) => id.slice(6)),
      );
      expect(ids.length / 2).toBeGreaterThanOrEqual(answered);
      expect(ids.length / 2).toBeLessThanOrEqual(current);
      const pairs = Array.from({ length: current }, (_, at) => [`left-${at + 1}`, `right-${at + 1}`]).flat();
      const put = pairs.map((id) => ({ node: "n", instance: instance(id) }));
      await store.changeInstances({ put, removed: ids });
      await store.close();
    }
  });
});

/** Reads the numbers that the child prints and kills it after so many; returns the last one that it printed. */
async function killedAfter(
  child: Bun.Subprocess<"ignore", "pipe", "inherit">,
  lines: number,
): Promise<number> {
  let text = "";
  let seen = 0;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    seen += chunk.split("\n").length - 1;
    if (seen >= lines) child.kill("SIGKILL");
  }
  expect(await child.exited).not.toBe(0);
  return Number(text.split("\n").at(-2));
}
