/** What the machine's settings mean for this node, in words; docs/operations.md has each of them. */

import type { Files } from "../machine.ts";
import type { Snapshot } from "../snapshot.ts";

/** Files, logs, channels and idle connections that a worker holds beside its callers'. */
const otherFilesMax = 500;

export async function systemNotes(files: Files, snapshot: Snapshot): Promise<string[]> {
  const [migration, limits, backlog] = await Promise.all([
    setting(files, "/proc/sys/net/ipv4/tcp_migrate_req"),
    setting(files, "/proc/self/limits"),
    setting(files, "/proc/sys/net/core/somaxconn"),
  ]);
  return [migrationNote(migration), ...openFilesNotes(limits, snapshot), ...backlogNotes(backlog)];
}

/** Null where the system does not tell. */
async function setting(files: Files, path: string): Promise<string | null> {
  try {
    return (await files.read(path)).trim();
  } catch {
    return null;
  }
}

/** Linux: whether connections that wait at a closing listener move to another one. */
function migrationNote(value: string | null): string {
  if (value === "1") {
    return "stopping a listener loses no waiting connection: net.ipv4.tcp_migrate_req is on";
  }
  const state = value === null ? "unknown here" : "off";
  return `stopping a listener may lose connections that nobody accepted yet: net.ipv4.tcp_migrate_req is ${state}`;
}

/** A request that is passed on needs a socket on each side. */
function openFilesNotes(limits: string | null, { connectionsMax }: Snapshot): string[] {
  const allowed = Number(/^Max open files\s+(\d+)/m.exec(limits ?? "")?.[1] ?? Number.NaN);
  const wanted = 2 * connectionsMax + otherFilesMax;
  if (!(allowed < wanted)) return [];
  return [
    `a worker may open ${allowed} files, wanted ${wanted} for ${connectionsMax} connections: raise LimitNOFILE or ulimit -n, or lower limits.connections`,
  ];
}

/** Below the kernel's own default of 4096, bursts of new connections are lost. */
function backlogNotes(value: string | null): string[] {
  const backlog = Number(value ?? Number.NaN);
  if (!(backlog < 1024)) return [];
  return [`at most ${backlog} new connections may wait to be accepted: raise net.core.somaxconn`];
}
