/** What test/host/processes.test.ts starts: with a verb it is a child, which echoes; without one, a parent of such. */
import { readFileSync } from "node:fs";
import { bunProcesses } from "../../src/host/processes/bun.ts";
import { systemTerminal } from "../../src/host/terminal/node.ts";

const processes = bunProcesses(import.meta.filename);
const [verb] = processes.args;
const busyMsMax = 200;

if (verb === "echo") {
  processes.parent!.onMessage((message) => processes.parent!.send({ echo: message }));
  processes.parent!.onClosed(() => processes.exit(0));
} else if (verb === "leave") {
  processes.exit(5);
} else if (verb === "say") {
  processes.parent!.onClosed(() => processes.exit(0));
  processes.onSignal("SIGTERM", () => processes.exit(6));
  // Not by console.error, which Bun colours where FORCE_COLOR is set.
  systemTerminal.out("said");
  systemTerminal.error("also said");
} else if (verb === "busy") {
  // Four turns that take half of what they may, and one that never ends.
  for (let turn = 0; turn < 4; turn++) {
    processes.endAfterBusy(busyMsMax);
    await Bun.sleep(1);
    spend(busyMsMax / 2);
  }
  processes.parent!.send("alive");
  await Bun.sleep(1);
  for (;;);
} else if (verb === "slice") {
  const before = scheduling();
  await processes.shortenTimeSlice();
  processes.parent!.send({ before, after: scheduling() });
  processes.parent!.onClosed(() => processes.exit(0));
} else if (verb === "loop") {
  await processes.endWithParent();
  processes.parent!.send("looping");
  await Bun.sleep(1);
  for (;;);
} else if (verb === "looper") {
  const child = processes.start(["loop"], () => console.log(`child ${child.pid}`));
} else if (verb === "parent") {
  const child = processes.start(["echo"], () => console.log(`child ${child.pid}`));
  child.send("hello");
}

/** Of the main thread, as proc(5) has it; what this kernel does not tell is missing. */
function scheduling(): Record<string, number> {
  const lines = readFileSync("/proc/self/sched", "utf8").matchAll(/^(se\.slice|policy|prio) *: *(\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

function spend(cpuMs: number): void {
  const before = process.cpuUsage();
  for (let spent = process.cpuUsage(before); spent.user + spent.system < cpuMs * 1000; )
    spent = process.cpuUsage(before);
}
