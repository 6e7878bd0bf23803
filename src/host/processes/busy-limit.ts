/**
 * An endless loop is ended by nothing inside its process; where no supervisor is left to do it, the system has to.
 * ITIMER_PROF counts the processor time of the whole process, so that one that was stopped, or that had to wait for a
 * turn on a busy machine, is not ended for it. Its signal, SIGPROF, ends a process that does not catch it, and Bun does
 * not; see setitimer(2).
 */
import { dlopen, ptr } from "bun:ffi";

const itimerProf = 2;

type SetTimer = (which: number, value: ReturnType<typeof ptr>, before: null) => number;
let setTimer: SetTimer | null = null;

/** Throws where there is no such C library. */
export function limitBusy(cpuMs: number): void {
  setTimer ??= dlopen("libc.so.6", { setitimer: { args: ["i32", "ptr", "ptr"], returns: "i32" } }).symbols
    .setitimer as SetTimer;
  // struct itimerval: seconds and microseconds of the repetition, then of the first time.
  const seconds = Math.floor(cpuMs / 1000);
  setTimer(
    itimerProf,
    ptr(new BigInt64Array([0n, 0n, BigInt(seconds), BigInt((cpuMs % 1000) * 1000)])),
    null,
  );
}
