/**
 * Memory that processes share is a file without a name: nothing is left of it when the last process that mapped it is
 * gone, however it went. A child inherits its descriptor, which takes neither a path nor a right to look into another
 * process.
 */
import { closeSync, ftruncateSync } from "node:fs";
import type { SharedMemory } from "../../machine.ts";
import { inheritedDescriptor } from "../processes/bun.ts";

/** Zeroed. */
export async function createSharedMemory(sizeBytes: number): Promise<SharedMemory> {
  // It loads the foreign function interface, which only a supervisor needs.
  const { openNamelessFile } = await import("./nameless-file.ts");
  const descriptor = openNamelessFile();
  ftruncateSync(descriptor, sizeBytes);
  return { bytes: mapped(descriptor, sizeBytes), descriptor };
}

/** What the process that started this one created. */
export function inheritSharedMemory(sizeBytes: number): ArrayBuffer {
  const bytes = mapped(inheritedDescriptor, sizeBytes);
  closeSync(inheritedDescriptor);
  return bytes;
}

function mapped(descriptor: number, sizeBytes: number): ArrayBuffer {
  const { buffer, byteLength } = Bun.mmap(`/dev/fd/${descriptor}`, { shared: true });
  if (byteLength === sizeBytes) return buffer as ArrayBuffer;
  throw new Error(`cannot share memory: it has ${byteLength} bytes, wanted ${sizeBytes}`);
}
