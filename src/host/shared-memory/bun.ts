/**
 * Memory that processes share is a file without a name: nothing is left of it when the last process that mapped it is
 * gone, however it went. A child inherits its descriptor, which takes neither a path nor a right to look into another
 * process. It is mapped part by part: the collector takes what is mapped for used, and lets as much garbage lie.
 */
import { fstatSync, ftruncateSync } from "node:fs";
import type { PartedMemory, SharedMemory } from "../../machine.ts";
import { inheritedDescriptor } from "../processes/bun.ts";

/** Zeroed. */
export async function createSharedMemory(sizeBytes: number): Promise<SharedMemory> {
  // It loads the foreign function interface, which only a supervisor needs.
  const { openNamelessFile } = await import("./nameless-file.ts");
  const descriptor = openNamelessFile();
  ftruncateSync(descriptor, sizeBytes);
  return { ...partsOf(descriptor), descriptor };
}

/** What the process that started this one created. */
export function inheritSharedMemory(sizeBytes: number): PartedMemory {
  const { size } = fstatSync(inheritedDescriptor);
  if (size !== sizeBytes) throw new Error(`cannot share memory: it has ${size} bytes, wanted ${sizeBytes}`);
  return partsOf(inheritedDescriptor);
}

/** The type that Bun declares for the options of mmap knows neither. */
interface MapOptions {
  readonly shared: true;
  readonly offset: number;
  readonly size: number;
}

function partsOf(descriptor: number): PartedMemory {
  return {
    part(offset, size) {
      const options: MapOptions = { shared: true, offset, size };
      return Bun.mmap(`/dev/fd/${descriptor}`, options);
    },
  };
}
