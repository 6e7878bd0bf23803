/** Bun only: a lock that is gone with its process, however that ends, is flock(2), which no runtime offers. */
import { dlopen, read } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { PrivateFolder } from "../../machine.ts";

/** With a dot: what stands beside nodes' folders in `.clearway` must have no name that a service can have. */
const lockName = "folder.lock";
const folderMode = 0o700;
const fileMode = 0o600;
// Of Linux.
const lockExclusive = 2;
const lockWithoutWaiting = 4;
const wouldBlock = 11;

export async function openPrivateFolder(path: string): Promise<PrivateFolder | null> {
  await mkdir(path, { recursive: true, mode: folderMode });
  // It may have been there before, or the umask may have taken more than others' rights.
  await chmod(path, folderMode);
  const descriptor = openSync(join(path, lockName), "a", fileMode);
  if (lock(descriptor) === "held by another") {
    closeSync(descriptor);
    return null;
  }
  return {
    async read(name) {
      try {
        return await readFile(join(path, name), "utf8");
      } catch (error) {
        if ((error as { code?: string }).code === "ENOENT") return null;
        throw error;
      }
    },
    replace: (name, text) => replaceDurably(join(path, name), text),
    release: () => closeSync(descriptor),
  };
}

function lock(descriptor: number): "locked" | "held by another" {
  const { flock, __errno_location } = dlopen("libc.so.6", {
    flock: { args: ["i32", "i32"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
  if (flock(descriptor, lockExclusive | lockWithoutWaiting) === 0) return "locked";
  const number = read.i32(__errno_location()!, 0);
  if (number === wouldBlock) return "held by another";
  throw Object.assign(new Error(`its lock: errno ${number}`), { code: `errno ${number}` });
}

/** On disk before it has its name: a machine that loses power keeps one of the two texts. */
async function replaceDurably(path: string, text: string): Promise<void> {
  const coming = `${path}.new`;
  const file = await open(coming, "w", fileMode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(coming, path);
}
