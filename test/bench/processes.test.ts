import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuBetween, killAll, processTree, readCpu, readMemory, start } from "../../bench/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "clearway-processes-"));
afterAll(() => {
  killAll();
  rmSync(folder, { recursive: true });
});

function run(script: string) {
  return start({ name: "program", command: ["sh", "-c", script], cores: null, folder });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function namesOf(pids: readonly number[]): string[] {
  return pids.map((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim()).sort();
}

const untilTerminated = "trap 'trap - TERM; kill 0' TERM";

test("processTree has the children, and stop waits for them all", async () => {
  const program = run(`${untilTerminated}; sleep 600 & sleep 600 & wait`);
  // Not sooner: a child that is no sleep yet still has its parent's trap, and may lose the signal.
  await until(() => namesOf(processTree(program.pid)).join() === "sh,sleep,sleep");
  const tree = processTree(program.pid);
  expect(readMemory(program.pid).rssBytes).toBeGreaterThan(readMemory(program.pid).pssBytes);
  expect(await program.stop()).toBe(0);
  for (const pid of tree) expect(processTree(pid)).toEqual([pid]);
});

test("stop kills and counts what does not end by itself", async () => {
  const program = run("trap '' TERM; sleep 600 & wait");
  await until(() => processTree(program.pid).length === 2);
  expect(await program.stop(10)).toBe(2);
});

test("processTree finds what outlived its parent", async () => {
  const program = run("sleep 600 & exit 0");
  await until(() => program.exit() !== null);
  const left = processTree(program.pid).filter((pid) => pid !== program.pid);
  expect(left).toHaveLength(1);
  expect(await program.stop(0)).toBe(1);
});

test("cpuBetween counts all processes of a tree", async () => {
  const program = run(`${untilTerminated}; (while :; do :; done) & wait`);
  const before = readCpu(program.pid);
  await until(() => cpuBetween(before, readCpu(program.pid)) >= 50_000);
  expect(processTree(program.pid)).toHaveLength(2);
  await program.stop();
});

test("a program that cannot start says so in its log", async () => {
  const program = start({ name: "missing", command: ["/no/such/program"], cores: null, folder });
  await until(() => program.exit() !== null);
  expect(program.exit()).toBe("exit code 127");
  expect(program.log()).toContain("/no/such/program");
});
