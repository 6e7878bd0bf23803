/** What `/proc` says of a process; see proc_pid_stat(5). */
import { readFile } from "node:fs/promises";
import type { ProcessUsage } from "../../machine.ts";

const pageBytes = 4096;
/** USER_HZ: the same on every Linux that anyone runs. */
const ticksPerSecond = 100;

/** The first field after the program's name: R for one that runs, or would. */
export async function linuxRunnable(pid: number): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("R");
  } catch {
    return false;
  }
}

export async function linuxUsage(pid: number): Promise<ProcessUsage | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const bootSeconds = Number(/^btime (\d+)$/m.exec(await readFile("/proc/stat", "utf8"))?.[1]);
    // The second field is the program's name in parentheses and may hold anything; the rest begins with the third.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const field = (number: number) => Number(fields[number - 3]);
    return {
      residentBytes: field(24) * pageBytes,
      cpuSeconds: (field(14) + field(15)) / ticksPerSecond,
      startEpochMs: (bootSeconds + field(22) / ticksPerSecond) * 1000,
    };
  } catch {
    return null;
  }
}
