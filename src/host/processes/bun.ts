import type { ChildProcess, ParentChannel, ProcessEnd, Processes } from "../../types.ts";
import { linuxUsage } from "./linux.ts";

/** Every path inside a compiled program begins like this. */
const compiledPrefix = "/$bunfs/";

/** `entry` is the file of this program's first module: what to start again. */
export function bunProcesses(entry: string): Processes {
  const program = entry.startsWith(compiledPrefix) ? [process.execPath] : [process.execPath, entry];
  return {
    pid: process.pid,
    args: process.argv.slice(2),
    environment: process.env,
    start: (args, receive) => startChild([...program, ...args], receive),
    parent: process.send === undefined ? null : parentChannel(process.send.bind(process)),
    usage: linuxUsage,
    onSignal(name, run) {
      process.on(name, run);
    },
    onUncaught(run) {
      process.on("uncaughtException", run);
      process.on("unhandledRejection", run);
    },
    exit: (code) => process.exit(code),
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
  const ended = child.exited.then(
    (): ProcessEnd => ({
      code: child.signalCode === null ? child.exitCode : null,
      signal: child.signalCode === null ? null : String(child.signalCode),
    }),
  );
  return {
    pid: child.pid,
    ended,
    send(message) {
      if (open) child.send(message);
      return open;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

function parentChannel(send: (message: unknown) => void): ParentChannel {
  return {
    send(message) {
      if (process.connected) send(message);
    },
    onMessage(receive) {
      process.on("message", receive);
    },
    onClosed(run) {
      if (process.connected) process.once("disconnect", run);
      else run();
    },
  };
}
