import { dlopen, ptr } from "bun:ffi";
import { openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const closeOnExec = 1;

/** Opens an empty file that has no name, in memory where the system can do that, and returns its descriptor. */
export function openNamelessFile(): number {
  try {
    const { memfd_create } = dlopen("libc.so.6", {
      memfd_create: { args: ["ptr", "u32"], returns: "i32" },
    }).symbols;
    const descriptor = memfd_create(ptr(Buffer.from("clearway\0")), closeOnExec);
    if (descriptor >= 0) return descriptor;
  } catch {
    // Another C library or system.
  }
  const path = join(tmpdir(), `clearway-${process.pid}-${crypto.randomUUID()}`);
  const descriptor = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return descriptor;
}
