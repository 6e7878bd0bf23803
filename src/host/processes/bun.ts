import { closeSync, openSync } from "node:fs";
import type { Subprocess } from "bun";
import type { ChildProcess, ProcessEnd, Processes, SignalName } from "../../types.ts";
import { thisProcess } from "./this-process.ts";

/** Another instance of the program, which prints into a file. */
export interface LoggedProcess {
  readonly ended: Promise<ProcessEnd>;
  signal(name: SignalName): void;
}

export interface BunProcesses extends Processes {
  /**
   * Starts this program once more, with all that it prints in the file, which is emptied first. It is in a process
   * group of its own, so that Ctrl-C does not reach it, and hears when this process is gone.
   */
  startLogged(args: readonly string[], logPath: string): LoggedProcess;
}

/** Every path inside a compiled program begins like this. */
const compiledPrefix = "/$bunfs/";

/** `entry` is the file of this program's first module: what to start again. */
export function bunProcesses(entry: string): BunProcesses {
  const program = entry.startsWith(compiledPrefix) ? [process.execPath] : [process.execPath, entry];
  return {
    ...thisProcess(),
    start: (args, receive) => startChild([...program, ...args], receive),
    startLogged: (args, logPath) => startLogged([...program, ...args], logPath),
  };
}

function startChild(command: string[], receive: (message: unknown) => void): ChildProcess {
  let open = true;
  const child = Bun.spawn(command, {
    stdio: ["ignore", "inherit", "inherit"],
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

function startLogged(command: string[], logPath: string): LoggedProcess {
  const log = openSync(logPath, "w", 0o640);
  const child = Bun.spawn(command, { stdio: ["ignore", log, log], detached: true, ipc() {} });
  closeSync(log);
  return { ended: endOf(child), signal: (name) => child.kill(name) };
}

async function endOf(child: Subprocess): Promise<ProcessEnd> {
  await child.exited;
  if (child.signalCode === null) return { code: child.exitCode, signal: null };
  return { code: null, signal: String(child.signalCode) };
}
