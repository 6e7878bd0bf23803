import { getPriority, setPriority } from "node:os";
import type { ChildProcess } from "../../machine.ts";

/** A third of what this process gets, where both want the same processor; see sched(7). */
const niceness = 5;
const nicenessMax = 19;

/** Gives way to other processes. */
export function behind(child: ChildProcess): ChildProcess {
  try {
    setPriority(child.pid, Math.min(nicenessMax, getPriority() + niceness));
  } catch {
    // It ended already, or the system forbids it: then it runs as any other.
  }
  return child;
}
