/** The program on Node and on Deno, as users run it there. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../program.ts";
import { denoPath, type HostName, nodePath } from "./programs.ts";

/** What stands before the verb. On Node it is one file, built into a folder of its own, with no `node_modules` beside it. */
export async function programOn(host: HostName): Promise<string[]> {
  if (host === "Deno") return [denoPath, "run", "--allow-all", join(root, "src/main.ts")];
  const file = join(mkdtempSync(join(tmpdir(), "clearway-node-")), "clearway.mjs");
  const built = Bun.spawnSync([process.execPath, "build/node.ts", file], { cwd: root });
  if (built.exitCode !== 0) throw new Error(`build/node.ts: ${built.stderr.toString()}`);
  return [nodePath, file];
}
