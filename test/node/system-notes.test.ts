import { expect, test } from "bun:test";
import type { Files } from "../../src/machine.ts";
import { systemNotes } from "../../src/node/system-notes.ts";
import type { Snapshot } from "../../src/snapshot.ts";

const snapshot = { connectionsMax: 10_000 } as Snapshot;

function notes(settings: { migration?: string; openFiles?: string; backlog?: string }): Promise<string[]> {
  const texts: Record<string, string | undefined> = {
    "/proc/sys/net/ipv4/tcp_migrate_req": settings.migration,
    "/proc/self/limits": settings.openFiles,
    "/proc/sys/net/core/somaxconn": settings.backlog,
  };
  const read = async (path: string) => {
    const text = texts[path];
    if (text === undefined) throw Object.assign(new Error("not there"), { code: "ENOENT" });
    return text;
  };
  return systemNotes({ read } as Files, snapshot);
}

const limits = (soft: string) =>
  `Limit   Soft Limit  Hard Limit  Units\nMax open files   ${soft}   65536   files\n`;

test("systemNotes says what becomes of connections that wait at a closing listener", async () => {
  expect(await notes({ migration: "1\n" })).toEqual([
    "stopping a listener loses no waiting connection: net.ipv4.tcp_migrate_req is on",
  ]);
  expect((await notes({ migration: "0\n" }))[0]).toEndWith("net.ipv4.tcp_migrate_req is off");
  expect((await notes({}))[0]).toEndWith("net.ipv4.tcp_migrate_req is unknown here");
});

test("systemNotes warns when fewer files may be open than connections need, and not one above", async () => {
  expect((await notes({ migration: "1", openFiles: limits("20499") })).slice(1)).toEqual([
    "a worker may open 20499 files, wanted 20500 for 10000 connections: raise LimitNOFILE or ulimit -n, or lower limits.connections",
  ]);
  expect((await notes({ migration: "1", openFiles: limits("20500") })).slice(1)).toEqual([]);
  expect((await notes({ migration: "1", openFiles: limits("unlimited") })).slice(1)).toEqual([]);
});

test("systemNotes warns of a short queue of new connections", async () => {
  expect((await notes({ migration: "1", backlog: "128\n" })).slice(1)).toEqual([
    "at most 128 new connections may wait to be accepted: raise net.core.somaxconn",
  ]);
  expect((await notes({ migration: "1", backlog: "4096\n" })).slice(1)).toEqual([]);
});
