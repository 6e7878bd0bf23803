import { writeSync } from "node:fs";
import type { Terminal } from "../../types.ts";

export const systemTerminal: Terminal = {
  out: (text) => writeWhole(1, text),
  error: (text) => writeWhole(2, text),
  interactive: { out: process.stdout.isTTY === true, error: process.stderr.isTTY === true },
};

/** A reader that has gone, or a pipe that is full, costs the text and nothing else. */
function writeWhole(descriptor: number, text: string): void {
  const bytes = Buffer.from(`${text}\n`);
  try {
    let done = 0;
    while (done < bytes.length) done += writeSync(descriptor, bytes, done);
  } catch {
    // Nobody is left to tell.
  }
}
