import { closeSync, openSync } from "node:fs";
import type { Subprocess } from "bun";
import type { ChildProcess, ProcessEnd } from "../../machine.ts";
import type { HostProcesses, LoggedProcess, LoggedStart, RunningCommand } from "../host.ts";
import { behind } from "./priority.ts";
import { thisProcess } from "./this-process.ts";

/** Where a child finds the memory that it shares with its parent: the first descriptor after the standard ones. */
export const inheritedDescriptor = 3;

/** Every path inside a compiled program begins like this. */
const compiledPrefix = "/$bunfs/";

/** `entry` is the file of this program's first module: what to start again. */
export function bunProcesses(entry: string) {
  const program = entry.startsWith(compiledPrefix) ? [process.execPath] : [process.execPath, entry];
  return {
    ...thisProcess(),
    start(args, receive, memory = null) {
      const inherited = memory === null ? [] : [memory.descriptor];
      return startChild([...program, ...args], receive, ["ignore", "inherit", "inherit", ...inherited]);
    },
    startApart: (args, receive) => behind(startChild([...program, ...args], receive, ["ignore", 2, 2])),
    startLogged: ({ args, ...where }) => startLogged([...program, ...args], where),
    startCommand,
    endAfterBusy(cpuMs) {
      if (process.platform === "linux") void endAfterBusy(cpuMs);
    },
    async endWithParent() {
      if (process.platform === "linux") await endWithParent();
    },
    async shortenTimeSlice() {
      if (process.platform === "linux") await shortenTimeSlice();
    },
  } satisfies HostProcesses;
}

async function endAfterBusy(cpuMs: number): Promise<void> {
  try {
    // It loads the foreign function interface, which only a worker needs.
    (await import("./busy-limit.ts")).limitBusy(cpuMs);
  } catch {
    // Another C library: the supervisor is the only one who ends a loop.
  }
}

async function endWithParent(): Promise<void> {
  try {
    (await import("./parent-death.ts")).endWithParent();
  } catch {
    // Another C library: a loop goes on until its processor time is used up.
  }
}

async function shortenTimeSlice(): Promise<void> {
  try {
    (await import("./time-slice.ts")).shortenTimeSlice();
  } catch {
    // Another C library: requests wait for whoever computes.
  }
}

function startChild(
  command: string[],
  receive: (message: unknown) => void,
  stdio: ["ignore", "inherit" | number, "inherit" | number, ...number[]],
): ChildProcess {
  let open = true;
  const child = Bun.spawn(command, {
    stdio,
    serialization: "advanced",
    ipc: receive,
    onDisconnect() {
      open = false;
    },
  });
  return {
    pid: child.pid,
    ended: endOf(child),
    send(message) {
      try {
        if (open) child.send(message);
      } catch {
        // It closed before onDisconnect said so.
        open = false;
      }
      return open;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

function startLogged(command: string[], { folder, logPath }: Omit<LoggedStart, "args">): LoggedProcess {
  const log = openSync(logPath, "w", 0o640);
  const child = Bun.spawn(command, { cwd: folder, stdio: ["ignore", log, log], detached: true, ipc() {} });
  closeSync(log);
  return {
    pid: child.pid,
    ended: endOf(child),
    signal: (name) => child.kill(name),
    killGroup: () => killGroup(child.pid),
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // They are gone already.
  }
}

function startCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): RunningCommand {
  if (Bun.which(command[0] ?? "") === null) throw new Error("there is no such program");
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...environment },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return { pid: child.pid, ended: endOf(child), signal: (name) => child.kill(name) };
}

async function endOf(child: Subprocess): Promise<ProcessEnd> {
  await child.exited;
  if (child.signalCode === null) return { code: child.exitCode, signal: null };
  return { code: null, signal: String(child.signalCode) };
}
