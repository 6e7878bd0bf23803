import { lstatSync, renameSync, unlinkSync } from "node:fs";
import type { ListeningSocket } from "../../machine.ts";

/** Binds a path and listens on it; returns what stops that. */
type Listen = (path: string) => Promise<() => void>;

/** Rejects when the path is taken. */
export async function listenAlone(unixPath: string, listen: Listen): Promise<ListeningSocket> {
  return { address: { unixPath }, stop: await listen(unixPath) };
}

/**
 * Takes a path from whichever socket has it now, in one step: the new one is bound beside it and moved there. So a
 * worker's successor leaves no moment in which nobody listens, and the file of a killed worker is in nobody's way.
 */
export async function listenInstead(unixPath: string, listen: Listen): Promise<ListeningSocket> {
  if (lstatSync(unixPath, { throwIfNoEntry: false })?.isSocket() === false) {
    throw Object.assign(new Error(`cannot bind ${unixPath}: it is a file`), { code: "EADDRINUSE" });
  }
  const beside = `${unixPath}.${process.pid}`;
  const stop = await listen(beside);
  const { ino } = lstatSync(beside);
  renameSync(beside, unixPath);
  return {
    address: { unixPath },
    stop() {
      stop();
      if (lstatSync(unixPath, { throwIfNoEntry: false })?.ino === ino) unlinkSync(unixPath);
    },
  };
}
