import { availableParallelism } from "node:os";
import type { ParentChannel, Processes } from "../../machine.ts";
import { linuxRunnable, linuxUsage } from "./linux.ts";

/** What is the same on every host: all but how another process is started. */
export function thisProcess(): Omit<Processes, "start" | "startApart"> {
  return {
    pid: process.pid,
    args: process.argv.slice(2),
    environment: process.env,
    parent: process.send === undefined ? null : parentChannel(process.send.bind(process)),
    cores: availableParallelism(),
    usage: linuxUsage,
    runnable: linuxRunnable,
    askToEnd,
    onSignal(name, run) {
      process.on(name, run);
    },
    onUncaught(run) {
      process.on("uncaughtException", run);
      process.on("unhandledRejection", run);
    },
    endAfterBusy: () => {},
    endWithParent: async () => {},
    shortenTimeSlice: async () => {},
    exit: (code) => process.exit(code),
  };
}

function askToEnd(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It is gone, or another user's.
  }
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
