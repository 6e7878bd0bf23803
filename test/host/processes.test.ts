import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunProcesses } from "../../src/host/processes/bun.ts";
import { behind } from "../../src/host/processes/priority.ts";
import { gone } from "../node/test-node.ts";

const program = join(import.meta.dir, "child-program.ts");
const processes = bunProcesses(program);
const cleanups: (() => void)[] = [];

afterAll(() => {
  for (const cleanup of cleanups) cleanup();
});

test("processes.start runs this program, and messages keep their structure both ways", async () => {
  const answer = Promise.withResolvers<unknown>();
  const child = processes.start(["echo"], answer.resolve);
  cleanups.push(child.kill);
  const message = {
    numbers: new Float64Array([1, 2]),
    map: new Map([["a", [null, true]]]),
    big: "x".repeat(1e6),
  };
  expect(child.send(message)).toBe(true);
  expect(await answer.promise).toEqual({ echo: message });
});

test("processes.start tells how the child ended, and send then says that the message is lost", async () => {
  const left = processes.start(["leave"], () => {});
  expect(await left.ended).toEqual({ code: 5, signal: null });
  expect(left.send("anybody?")).toBe(false);
  const killed = processes.start(["echo"], () => {});
  killed.kill();
  expect(await killed.ended).toEqual({ code: null, signal: "SIGKILL" });
});

test("processes.endAfterBusy ends an endless loop, and not a process that calls it again in time", async () => {
  const said = Promise.withResolvers<unknown>();
  const child = processes.start(["busy"], said.resolve);
  cleanups.push(child.kill);
  expect(await said.promise).toBe("alive");
  expect(await child.ended).toEqual({ code: null, signal: "SIGPROF" });
});

test("processes.shortenTimeSlice asks for the shortest slice, under the same policy and niceness", async () => {
  const said = Promise.withResolvers<unknown>();
  const child = behind(processes.start(["slice"], said.resolve));
  cleanups.push(child.kill);
  const { before, after } = (await said.promise) as Record<"before" | "after", Record<string, number>>;
  expect(before.policy).toBe(0);
  // Kernels before 6.12 tell no slice, and have one for all.
  expect(after).toEqual("se.slice" in before ? { ...before, "se.slice": 100_000 } : before);
});

test("a child hears at once that its parent was killed", () => outlivesNot("parent"));

test("processes.endWithParent ends an endless loop whose parent was killed", () => outlivesNot("looper"));

/** `verb`: a parent that tells of a child. */
async function outlivesNot(verb: string): Promise<void> {
  const parent = Bun.spawn([process.execPath, program, verb], { stdin: "ignore", stdout: "pipe" });
  const { value } = await parent.stdout.getReader().read();
  const child = Number(/child (\d+)/.exec(Buffer.from(value!).toString())?.[1]);
  parent.kill("SIGKILL");
  await gone(child);
}

test("processes.startLogged puts all that the child says into the file, in its order, and signals it", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "clearway-processes-")), "child.log");
  const child = processes.startLogged({ args: ["say"], folder: tmpdir(), logPath: path });
  while (!readFileSync(path, "utf8").includes("also said")) await Bun.sleep(5);
  child.signal("SIGTERM");
  expect(await child.ended).toEqual({ code: 6, signal: null });
  expect(readFileSync(path, "utf8")).toBe("said\nalso said\n");
});

test("processes.usage reads what the system says of a process, null when it is not there", async () => {
  const usage = await processes.usage(process.pid);
  expect(usage!.residentBytes).toBeGreaterThan(10_000_000);
  expect(usage!.cpuSeconds).toBeGreaterThan(0);
  expect(Math.abs(usage!.startEpochMs - (Date.now() - performance.now()))).toBeLessThan(60_000);
  expect(await processes.usage(2 ** 30)).toBeNull();
});
