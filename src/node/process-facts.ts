/** What the system says of a node's processes, for `/metrics`. */
import type { Processes } from "../machine.ts";
import type { ProcessFacts } from "../telemetry/index.ts";
import type { WorkerStatus } from "./worker-pool.ts";

export async function processFacts(
  processes: Pick<Processes, "pid" | "usage">,
  workers: readonly WorkerStatus[],
): Promise<ProcessFacts[]> {
  const named: [string, number | null][] = [["supervisor", processes.pid]];
  for (const { number, pid, state } of workers) {
    named.push([state === "leaving" ? `worker-${number}-leaving` : `worker-${number}`, pid]);
  }
  const facts: ProcessFacts[] = [];
  for (const [name, pid] of named) {
    const usage = pid === null ? null : await processes.usage(pid);
    if (usage !== null) facts.push({ name, ...usage });
  }
  return facts;
}
