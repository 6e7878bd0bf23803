/** Memory of one process, where it shares none: the worker of a node on Node and Deno, a trial, a test. */
import type { PartedMemory } from "../../machine.ts";

export function privateMemory(): PartedMemory {
  const parts = new Map<number, Uint8Array<ArrayBuffer>>();
  return {
    part(offsetBytes, sizeBytes) {
      const known = parts.get(offsetBytes);
      if (known !== undefined) return known;
      const made = new Uint8Array(sizeBytes);
      parts.set(offsetBytes, made);
      return made;
    },
  };
}
