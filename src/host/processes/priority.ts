import { setPriority } from "node:os";
import type { ChildProcess } from "../../machine.ts";

/** A third of what a process of usual priority gets, where both want the same processor; see sched(7). */
const niceness = 5;

/** Gives way to other processes. */
export function behind(child: ChildProcess): ChildProcess {
  try {
    setPriority(child.pid, niceness);
  } catch {
    // It ended already, or the system forbids it: then it runs as any other.
  }
  return child;
}
