/** Runs the open-loop load generator on the load's cores. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { OpenLoopOptions, OpenLoopResult } from "./open-loop.ts";
import { loadCores } from "./processes.ts";

const run = promisify(execFile);
/** Beyond the seconds of the load. */
const spareMs = 20_000;

export async function runFixedRate(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const script = join(import.meta.dirname, "open-loop.ts");
  const timeout = (options.warmSeconds + options.seconds) * 1000 + spareMs;
  const command = ["-c", loadCores, process.execPath, script, JSON.stringify(options)];
  const { stdout } = await run("taskset", command, { timeout });
  return JSON.parse(stdout) as OpenLoopResult;
}
