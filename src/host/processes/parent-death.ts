/**
 * A process that runs what nobody vouches for must not outlive the one that watches it: in an endless loop it would not
 * hear that its channel closed, and it may hoard memory meanwhile. See PR_SET_PDEATHSIG in prctl(2).
 */
import { dlopen } from "bun:ffi";

const setParentDeathSignal = 1;
const sigkill = 9;

/** Throws where there is no such C library. */
export function endWithParent(): void {
  const { prctl, getppid } = dlopen("libc.so.6", {
    prctl: { args: ["i32", "u64"], returns: "i32" },
    getppid: { args: [], returns: "i32" },
  }).symbols;
  const parent = process.ppid;
  prctl(setParentDeathSignal, BigInt(sigkill));
  // It may have gone before it was asked for: then somebody else is the parent now.
  if (getppid() !== parent) process.kill(process.pid, "SIGKILL");
}
