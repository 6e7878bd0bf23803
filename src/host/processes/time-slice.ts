/**
 * One thread serves, and what it waits for comes at any moment; others on its processor compute for milliseconds at a
 * time: a supervisor that reads a config, a collector, another program. Linux lets whoever computes finish its slice
 * (1.4 ms with two processors, 2.8 with eight; noticed at the next tick, 1 to 10 ms) before one that woke up, unless
 * that one asked for shorter slices: then it has the processor at once, as long as it had less than its share. So the
 * share is what it was. See sched_setattr(2) and, in the kernel's documentation, EEVDF; before Linux 6.12 nothing changes.
 */
import { dlopen, ptr } from "bun:ffi";

/** Numbers of the system calls sched_getattr and sched_setattr; older C libraries have no functions for them. */
const calls: Readonly<Partial<Record<string, { readonly read: number; readonly write: number }>>> = {
  x64: { read: 315, write: 314 },
  arm64: { read: 275, write: 274 },
};
/** `struct sched_attr` in its first form, SCHED_ATTR_SIZE_VER0. */
const attributesBytes = 48;
const policyAt = 4;
const runtimeAt = 24;
/** SCHED_OTHER: the only policy under which `sched_runtime` is the slice. */
const otherPolicy = 0;
/** The shortest that there is. */
const sliceNs = 100_000n;
const thisThread = 0;

/** Of the calling thread, and of those that it starts from now on. Throws where there is no such C library. */
export function shortenTimeSlice(): void {
  const call = calls[process.arch];
  if (call === undefined) return;
  const { syscall } = dlopen("libc.so.6", {
    syscall: { args: ["i64", "i64", "ptr", "i64", "i64"], returns: "i32" },
  }).symbols;
  const attributes = new DataView(new ArrayBuffer(attributesBytes));
  const at = ptr(attributes);
  // Niceness and flags stay as whoever started the program wanted them.
  if (syscall(call.read, thisThread, at, attributesBytes, 0) !== 0) return;
  if (attributes.getUint32(policyAt, true) !== otherPolicy) return;
  attributes.setBigUint64(runtimeAt, sliceNs, true);
  syscall(call.write, thisThread, at, 0, 0);
}
