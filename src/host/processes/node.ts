/** Processes on Node and Deno: `node:child_process`. */
import { fork } from "node:child_process";
import type { ChildProcess, ProcessEnd } from "../../machine.ts";
import type { HostProcesses } from "../host.ts";
import { behind } from "./priority.ts";
import { thisProcess } from "./this-process.ts";

/** What a shell says of a program that it could not start. */
const notStartedCode = 127;

/** `entry` is the file of this program's first module: what to start again. */
export function nodeProcesses(entry: string): HostProcesses {
  return {
    ...thisProcess(),
    start: (args, receive) => startChild([entry, ...args], receive, "inherit"),
    startApart: (args, receive) => behind(startChild([entry, ...args], receive, 2)),
    startLogged: null,
    startCommand: null,
  };
}

function startChild(
  [entry, ...args]: readonly [string, ...string[]],
  receive: (message: unknown) => void,
  stdout: "inherit" | 2,
): ChildProcess {
  const child = fork(entry, args, {
    serialization: "advanced",
    stdio: ["ignore", stdout, "inherit", "ipc"],
  });
  child.on("message", receive);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.on("error", () => {
      if (child.pid === undefined) resolve({ code: notStartedCode, signal: null });
    });
  });
  return {
    pid: child.pid ?? 0,
    ended,
    send(message) {
      // With a callback a channel that closes meanwhile is no error event.
      if (child.connected) child.send(message as object, () => {});
      return child.connected;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}
